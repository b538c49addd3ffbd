//! The sites' agents: ask them how they are, for their votes, and to hand over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runtime::HttpClient;
use runtime::http_client::CallError;
use topology::address::Port;
use topology::wire::agent::{HandOverReply, HandOverRequest, Renewal, VoteReply, VoteRequest};
use topology::wire::canary::CanaryReply;
use topology::wire::lost_writes::LostWritesReport;
use topology::wire::report::SiteReport;
use topology::wire::vantage::DeepOutcome;
use topology::{CellId, Epoch, RegionId, SiteId, Spec};
use tracing::debug;

/// How long a probe waits beside what the way takes, short enough that two misses are known well before
/// patience ends.
pub const PROBE: Duration = Duration::from_millis(400);
/// How long an agent may wait for its next renewal, beside what a probe waits.
const RENEWAL: Duration = Duration::from_millis(2500);
/// After a miss a probe opens a connection, and then asks.
const CROSSINGS: u32 = 2;
/// How long a write through gateway, session and database may take: a hundred times what it does.
const DEEP: Duration = Duration::from_secs(1);
/// How long an agent may take to read its lost-write reports from its disk.
const LOST_WRITES: Duration = Duration::from_secs(3);
/// How long a hand-over may take: the active site finishes what is in flight, and its PostgreSQL writes its last
/// checkpoint, 0.1 s measured (`docs/decisions/0002`); its own limits are below two seconds together.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Calls to agents. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    /// Looked up thousands of times a second.
    addresses: Arc<BTreeMap<SiteId, Addresses>>,
    http: HttpClient,
    /// How long a probe waits.
    probe: Duration,
}

/// Where a site is asked.
struct Addresses {
    agent: SocketAddr,
    /// Its session, beside the users' way.
    session: SocketAddr,
}

impl Agents {
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        let sites = spec.cells.iter().flat_map(|cell| {
            cell.regions().filter_map(|region| {
                let address = |port| spec.site_address(&cell.id, region, port);
                let (agent, session) = (address(Port::Agent)?, address(Port::SessionAdmin)?);
                let site = SiteId { cell: cell.id.clone(), region: region.clone() };
                Some((site, Addresses { agent, session }))
            })
        });
        let probe = PROBE + spec.round_trip * CROSSINGS;
        Self { addresses: Arc::new(sites.collect()), http: HttpClient::default(), probe }
    }

    /// Asks an agent how its site is.
    pub async fn status(&self, site: &SiteId) -> Result<SiteReport, CallError> {
        self.http.get(&self.url(site, "status"), self.probe).await
    }

    /// Asks an agent for its next renewal after that one, or to say after a while that there is none.
    pub async fn renewal(&self, site: &SiteId, after: u64) -> Result<Renewal, CallError> {
        let url = format!("{}?after={after}", self.url(site, "renewal"));
        self.http.get(&url, self.probe + RENEWAL).await
    }

    /// Asks the site's session to try everything a user's write needs, over a connection that is open, or
    /// over one that is opened for it; nothing where it has no such thing, being of an earlier version.
    pub async fn canary(&self, site: &SiteId, connects_anew: bool) -> Option<DeepOutcome> {
        let url = url(self.addresses.get(site).map(|at| at.session), "canary");
        let http = if connects_anew { HttpClient::default() } else { self.http.clone() };
        let reply = http.post::<CanaryReply>(&url, &(), DEEP).await;
        match reply {
            Ok(CanaryReply { outcome, reason }) => {
                if let Some(reason) = reason {
                    debug!(%site, ?outcome, reason, "canary");
                }
                Some(outcome)
            }
            Err(CallError::Refused { status, .. }) if status == 404 => None,
            Err(err) => {
                debug!(%site, error = %err, "no canary");
                Some(DeepOutcome::Failed)
            }
        }
    }

    /// Asks what the site had written that the cell's history went on without.
    pub async fn lost_writes(
        &self,
        cell: &CellId,
        region: &RegionId,
    ) -> Result<Vec<LostWritesReport>, CallError> {
        let site = SiteId { cell: cell.clone(), region: region.clone() };
        self.http.get(&self.url(&site, "lost-writes"), LOST_WRITES).await
    }

    /// Asks for a vote. No answer is no vote.
    pub async fn vote(
        &self,
        region: &RegionId,
        request: &VoteRequest,
        cell: &CellId,
        limit: Duration,
    ) -> VoteReply {
        let site = SiteId { cell: cell.clone(), region: region.clone() };
        let url = self.url(&site, "vote");
        self.http.post(&url, request, limit).await.unwrap_or_else(|err| VoteReply::Refused {
            reason: format!("{:#}", anyhow::Error::from(err)),
        })
    }

    /// Asks the active site to stop cleanly. No answer is no hand-over.
    pub async fn hand_over(&self, cell: &CellId, active: &RegionId, epoch: Epoch) -> HandOverReply {
        self.ask_to_hand_over(cell, active, epoch, false).await
    }

    /// Lets the active site do beforehand what would take long while nobody serves. What comes of it
    /// changes nothing but that.
    pub async fn prepare_hand_over(&self, cell: &CellId, active: &RegionId, epoch: Epoch) {
        drop(self.ask_to_hand_over(cell, active, epoch, true).await);
    }

    async fn ask_to_hand_over(
        &self,
        cell: &CellId,
        active: &RegionId,
        epoch: Epoch,
        prepare: bool,
    ) -> HandOverReply {
        let request = HandOverRequest { cell: cell.to_string(), epoch: epoch.0, prepare };
        let site = SiteId { cell: cell.clone(), region: active.clone() };
        let url = self.url(&site, "hand-over");
        self.http.post(&url, &request, HAND_OVER).await.unwrap_or_else(|err| {
            HandOverReply::Refused { reason: format!("{:#}", anyhow::Error::from(err)) }
        })
    }

    fn url(&self, site: &SiteId, path: &str) -> String {
        url(self.addresses.get(site).map(|at| at.agent), path)
    }
}

/// A site that the spec does not have gets an address that is none, and no answer.
fn url(address: Option<SocketAddr>, path: &str) -> String {
    let host = address.map_or_else(|| "0.0.0.0:0".to_owned(), |address| address.to_string());
    format!("http://{host}/v1/{path}")
}
