//! Asks the control plane, of a region that is not to be broken.

mod failover;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use runtime::HttpClient;
use runtime::http_client::{Answer, CallError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use topology::wire::history::HistoryRecord;
use topology::wire::lost_writes::LostWritesReport;
use topology::{CellId, Epoch, RegionId};

use crate::course::Tally;
use crate::platform::Platform;
pub(crate) use failover::FailedOver;

/// A control plane on the same machine or the same continent; the next one is asked after this.
const ASK: Duration = Duration::from_secs(2);
/// The control plane asks every site of the cell.
const GATHER: Duration = Duration::from_secs(10);
/// A switchover waits for a clean stop of PostgreSQL and the opening of the next epoch.
const SWITCH: Duration = Duration::from_secs(20);

/// What a control plane tells of all of them: who sees what, and who is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Vantages {
    /// Whose view it is.
    pub(crate) vantage: String,
    data: Vec<VantageView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct VantageView {
    id: String,
    /// Regions that it alone sees badly.
    blind_to: Vec<String>,
}

/// What was written down about a cell.
#[derive(Deserialize)]
struct Evidence {
    history: Option<Vec<Noted>>,
}

/// Where a user's requests go, and how that came about.
#[derive(Deserialize)]
struct Explained {
    /// Missing while etcd does not answer.
    history: Option<Vec<HistoryRecord>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Noted {
    pub(crate) at_unix_ms: u64,
    pub(crate) vantage: String,
    pub(crate) what: String,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct ControlPlane {
    http: HttpClient,
    /// Without a slash at the end.
    urls: Vec<String>,
    /// The same, by region.
    regions: BTreeMap<RegionId, String>,
    headers: HeaderMap,
}

/// A cell, as far as a drill needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) id: CellId,
    pub(crate) active: Option<RegionId>,
    pub(crate) standbys: Vec<RegionId>,
    /// Steady, and every site not active streams.
    pub(crate) redundant: bool,
    pub(crate) phase: String,
    pub(crate) tally: Tally,
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) cell: Option<CellId>,
    pub(crate) region: Option<RegionId>,
}

#[derive(Deserialize)]
struct Alerts {
    data: Vec<AlertView>,
}

#[derive(Deserialize)]
struct AlertView {
    name: String,
    cell: Option<String>,
    region: Option<String>,
}

#[derive(Deserialize)]
struct Cells {
    data: Vec<CellView>,
}

#[derive(Deserialize)]
pub(crate) struct LostWrites {
    pub(crate) data: Vec<LostWritesReport>,
    /// Sites that did not say.
    #[serde(default)]
    pub(crate) unreachable: Vec<String>,
}

/// An operation, as far as a drill follows it.
#[derive(Deserialize)]
pub(crate) struct OperationView {
    id: String,
    pub(crate) status: String,
    pub(crate) why: Option<String>,
    pub(crate) steps_ended: usize,
    pub(crate) steps: usize,
}

#[derive(Deserialize)]
struct Regions {
    data: Vec<RegionView>,
}

#[derive(Deserialize)]
struct RegionView {
    id: String,
    drained: bool,
}

#[derive(Deserialize)]
struct CellView {
    id: String,
    phase: String,
    epoch: u64,
    active: Option<String>,
    redundant: bool,
    sites: Vec<SiteView>,
}

#[derive(Deserialize)]
struct SiteView {
    region: String,
    role: String,
    rebuilt: Option<u64>,
}

impl ControlPlane {
    /// Will ask every region's control plane in turn, `avoid`'s last.
    pub(crate) fn new(platform: &Platform, avoid: Option<&RegionId>) -> anyhow::Result<Self> {
        let (spec, token) = (&platform.spec, &platform.token);
        let tls = spec.control_plane_tls.as_ref();
        let authority = tls.map(|tls| platform.run_dir.join(&tls.authority));
        let mut regions: Vec<&RegionId> = spec.regions.iter().map(|region| &region.id).collect();
        regions.sort_by_key(|region| Some(*region) == avoid);
        let urls = regions.into_iter();
        let urls =
            urls.filter_map(|region| Some((region.clone(), spec.control_plane_url(region)?)));
        let urls: Vec<(RegionId, String)> = urls.collect();
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .context("read the control plane's token")?;
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        let http = HttpClient::trusting(authority.as_deref())?;
        let regions = urls.iter().cloned().collect();
        let urls = urls.into_iter().map(|(_, url)| url).collect();
        Ok(Self { http, urls, regions, headers })
    }

    pub(crate) fn urls(&self) -> &[String] {
        &self.urls
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) async fn cells(&self) -> anyhow::Result<Vec<Cell>> {
        let cells: Cells = self.ask("/v1/cells").await.context("list the cells")?;
        cells.data.into_iter().map(Cell::try_from).collect()
    }

    pub(crate) async fn alerts(&self) -> anyhow::Result<Vec<Alert>> {
        let alerts: Alerts = self.ask("/v1/alerts").await.context("list the alerts")?;
        alerts.data.into_iter().map(Alert::try_from).collect()
    }

    /// Returns what a cell's sites report as lost; `None` from a control plane that knows of no such
    /// reports.
    pub(crate) async fn lost_writes(&self, cell: &CellId) -> anyhow::Result<Option<LostWrites>> {
        let mut last = None;
        for at in &self.urls {
            let url = format!("{at}/v1/cells/{cell}/lost-writes");
            let sent =
                self.http.call(Method::GET, &url, self.headers.clone(), Bytes::new(), GATHER);
            match sent.await {
                Ok(answer) if answer.status == http::StatusCode::NOT_FOUND => return Ok(None),
                Ok(answer) => match answer.json::<LostWrites>(&url) {
                    Ok(found) => return Ok(Some(found)),
                    Err(err) => last = Some(err),
                },
                Err(err) => last = Some(err),
            }
        }
        let err = last.context("ask a control plane: the spec has no region")?;
        Err(err).with_context(|| format!("ask what {cell} has lost"))
    }

    /// Moves a cell, and returns once its new active site is open.
    pub(crate) async fn switchover(&self, cell: &CellId, to: &RegionId) -> anyhow::Result<()> {
        let body = serde_json::json!({ "to": to.as_str() });
        let asked = self.order(&format!("/v1/cells/{cell}/switchover"), &body).await;
        let _: serde_json::Value = asked.with_context(|| format!("move {cell} to {to}"))?;
        Ok(())
    }

    /// Begins what is done to a whole region, and returns the operation's id.
    pub(crate) async fn begin(&self, what: &str, region: &RegionId) -> anyhow::Result<String> {
        let body = serde_json::json!({ "reason": "a drill" });
        let begun: OperationView = self
            .order(&format!("/v1/regions/{region}/{what}"), &body)
            .await
            .with_context(|| format!("{what} {region}"))?;
        Ok(begun.id)
    }

    pub(crate) async fn operation(&self, id: &str) -> anyhow::Result<OperationView> {
        let asked = self.ask(&format!("/v1/operations/{id}")).await;
        asked.with_context(|| format!("ask how operation {id} is"))
    }

    /// Returns the regions that no cell is moved to.
    pub(crate) async fn drained(&self) -> anyhow::Result<Vec<String>> {
        let regions: Regions = self.ask("/v1/regions").await.context("list the regions")?;
        let drained = regions.data.into_iter().filter(|region| region.drained);
        Ok(drained.map(|region| region.id).collect())
    }

    /// Returns who sees what and is believed, as one region's control plane has it; as any has it without a
    /// region.
    pub(crate) async fn vantages(&self, of: Option<&RegionId>) -> anyhow::Result<Vantages> {
        let own = of.map(|region| self.regions.get(region).context("find its control plane"));
        let own = own.transpose()?;
        let urls = own.map_or(self.urls.as_slice(), std::slice::from_ref);
        self.ask_one_of(urls, "/v1/vantages").await.context("list the vantages")
    }

    /// Returns what control planes noticed and decided about a cell, as far as that is kept; `None` while
    /// etcd does not answer.
    pub(crate) async fn noted(&self, cell: &CellId) -> anyhow::Result<Option<Vec<Noted>>> {
        let evidence: Evidence = self.ask(&format!("/v1/cells/{cell}/evidence")).await?;
        Ok(evidence.history)
    }

    /// Returns which epochs a user's cell has had of late, the last one first. Fails while etcd does not answer.
    pub(crate) async fn history(&self, user: &str) -> anyhow::Result<Vec<HistoryRecord>> {
        let asked = self.ask(&format!("/v1/route/explain?user={user}")).await;
        let explained: Explained =
            asked.with_context(|| format!("ask where the cell of {user} was"))?;
        explained.history.with_context(|| {
            format!("read where the cell of {user} was: etcd does not answer its control plane")
        })
    }

    /// Asks one control plane after the other.
    async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask_one_of(&self.urls, path).await
    }

    async fn ask_one_of<T: DeserializeOwned>(
        &self,
        urls: &[String],
        path: &str,
    ) -> anyhow::Result<T> {
        let mut last = None;
        for at in urls {
            let url = format!("{at}{path}");
            let sent = self.http.call(Method::GET, &url, self.headers.clone(), Bytes::new(), ASK);
            match sent.await.and_then(|answer| answer.json(&url)) {
                Ok(found) => return Ok(found),
                Err(err) => last = Some(err),
            }
        }
        Err(last.context("ask a control plane: the spec has no region")?.into())
    }

    /// Orders something, and returns what it came to; a refusal is an error.
    async fn order<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let (url, answer) = self.ordered(path, body).await?;
        Ok(answer.json(&url)?)
    }

    /// Orders something of the first control plane that can be reached, and returns which, with its answer.
    async fn ordered(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<(String, Answer)> {
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for at in &self.urls {
            let url = format!("{at}{path}");
            let sent =
                self.http.call(Method::POST, &url, headers.clone(), body.to_string(), SWITCH);
            match sent.await {
                Ok(answer) => return Ok((url, answer)),
                // Nothing was sent: another one may be asked.
                Err(CallError::Connect { .. }) => {}
                Err(err) => return Err(err.into()),
            }
        }
        bail!("no control plane can be reached");
    }
}

impl Vantages {
    /// Returns the regions that a control plane alone sees badly, if it is not believed.
    pub(crate) fn blind_to(&self, region: &RegionId) -> Option<&[String]> {
        let mut rows = self.data.iter().filter(|row| row.id == region.as_str());
        rows.find(|row| !row.blind_to.is_empty()).map(|row| row.blind_to.as_slice())
    }

    /// Returns whose word does not count.
    pub(crate) fn blind(&self) -> impl Iterator<Item = &str> {
        self.data.iter().filter(|row| !row.blind_to.is_empty()).map(|row| row.id.as_str())
    }
}

impl fmt::Display for Vantages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blind = self.data.iter().filter(|row| !row.blind_to.is_empty());
        let blind: Vec<String> = blind
            .map(|row| format!("{} alone sees {} badly", row.id, row.blind_to.join(" and ")))
            .collect();
        if blind.is_empty() {
            return f.write_str("nobody is blind");
        }
        f.write_str(&blind.join(", "))
    }
}

impl TryFrom<AlertView> for Alert {
    type Error = anyhow::Error;

    fn try_from(AlertView { name, cell, region }: AlertView) -> anyhow::Result<Self> {
        let cell = cell.map(|cell| cell.parse()).transpose().context("read a cell's id")?;
        let region = region.map(|region| region.parse()).transpose();
        Ok(Self { name, cell, region: region.context("read a region's id")? })
    }
}

impl TryFrom<CellView> for Cell {
    type Error = anyhow::Error;

    fn try_from(view: CellView) -> anyhow::Result<Self> {
        let region = |text: &str| text.parse::<RegionId>().context("read a region's id");
        let standbys = view.sites.iter().filter(|site| site.role == "standby");
        Ok(Self {
            id: view.id.parse().context("read a cell's id")?,
            active: view.active.as_deref().map(region).transpose()?,
            standbys: standbys.map(|site| region(&site.region)).collect::<Result<_, _>>()?,
            redundant: view.redundant,
            phase: view.phase,
            tally: Tally {
                epoch: Epoch(view.epoch),
                rebuilt: view.sites.iter().filter_map(|site| site.rebuilt).sum(),
            },
        })
    }
}
