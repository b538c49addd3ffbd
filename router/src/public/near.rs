//! The sites as seen from here: who is near, measured by every answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State as AxumState;
use axum::response::Json;
use axum::routing::get;
use pingora_core::upstreams::peer::HttpPeer;
use serde::Serialize;
use tokio::time::Instant;
use topology::{SiteId, Snapshot};

use crate::decide::nearest::{Nearest, Outcome};
use crate::metrics::EdgeMetrics;
use crate::mutual::Mutual;
use crate::site;
use crate::table::Table;

/// Sites that are measured: all of a platform of 21 cells, and of a larger one enough in each region.
const SITES_MAX: usize = 64;

pub(crate) struct Near {
    table: Arc<Table>,
    /// None: sites are talked to in the open.
    mutual: Option<Mutual>,
    metrics: Arc<EdgeMetrics>,
    state: Mutex<State>,
    draws: AtomicU64,
}

#[derive(Default)]
struct State {
    nearest: Nearest,
    gateways: BTreeMap<SiteId, SocketAddr>,
    /// What the sites were taken from.
    snapshot: Option<Arc<Snapshot>>,
}

/// A site that is being asked. Dropped before it has answered or failed, it says nothing.
pub(crate) struct Try {
    near: Arc<Near>,
    site: SiteId,
    since: Instant,
    is_over: bool,
}

/// A site as an operator sees it.
#[derive(Serialize)]
struct Shown {
    site: String,
    /// Answered since it last failed.
    proven: bool,
    /// Moving average; none before the first answer.
    latency_ms: Option<f64>,
}

impl Near {
    pub(crate) fn new(
        table: Arc<Table>,
        mutual: Option<Mutual>,
        metrics: Arc<EdgeMetrics>,
    ) -> Arc<Self> {
        let draws = AtomicU64::new(u64::from(std::process::id()));
        Arc::new(Self { table, mutual, metrics, state: Mutex::default(), draws })
    }

    /// Returns the site to ask, other than those that were tried, and how to reach it.
    pub(crate) fn choose(self: &Arc<Self>, tried: &[SiteId]) -> Option<(Try, Box<HttpPeer>)> {
        let draws = [self.draw(), self.draw()];
        let (site, gateway) = self.look(|state| {
            let site = state.nearest.choose(tried, draws)?.clone();
            let gateway = *state.gateways.get(&site)?;
            state.nearest.asked(&site);
            Some((site, gateway))
        })?;
        Some((self.begin(site), site::public_peer(gateway, self.mutual.as_ref())))
    }

    /// Returns the site that has not been heard of for longest, if for at least `period`.
    pub(super) fn due(self: &Arc<Self>, period: Duration) -> Option<(Try, SocketAddr)> {
        let now = Instant::now();
        let (site, gateway) = self.look(|state| {
            let site = state.nearest.due(period, now)?.clone();
            let gateway = *state.gateways.get(&site)?;
            state.nearest.probed(&site, now);
            Some((site, gateway))
        })?;
        Some((self.begin(site), gateway))
    }

    /// Returns whether sites speak to nobody who does not prove to be a router.
    pub(super) fn is_guarded(&self) -> bool {
        self.mutual.is_some()
    }

    fn begin(self: &Arc<Self>, site: SiteId) -> Try {
        Try { near: Arc::clone(self), site, since: Instant::now(), is_over: false }
    }

    /// Looks at the sites of the table in use. The lock is held for a few comparisons per site.
    fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let current = self.table.current();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(applied) = current {
            state.follow(&applied.snapshot);
        }
        look(&mut state)
    }

    /// `SplitMix64`: random enough to spread load, and nothing else rests on it.
    fn draw(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.draws.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl State {
    fn follow(&mut self, snapshot: &Arc<Snapshot>) {
        if self.snapshot.as_ref().is_some_and(|last| Arc::ptr_eq(last, snapshot)) {
            return;
        }
        let sites = snapshot.cells.iter().flat_map(|(cell, routed)| {
            let gateways = routed.gateways.iter();
            // What is kept out hears of nothing any more.
            let gateways = gateways.filter(|(region, _)| !routed.activation.is_out(region));
            gateways.map(|(region, gateway)| {
                (SiteId { cell: cell.clone(), region: region.clone() }, *gateway)
            })
        });
        self.gateways = sites.take(SITES_MAX).collect();
        self.nearest.offer(self.gateways.keys().cloned());
        self.snapshot = Some(Arc::clone(snapshot));
    }
}

impl Try {
    pub(crate) fn site(&self) -> &SiteId {
        &self.site
    }

    pub(crate) fn answered(&mut self) {
        self.end(Outcome::Answered(self.since.elapsed()));
    }

    pub(crate) fn failed(&mut self) {
        self.end(Outcome::Failed);
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let latency = self.near.look(|state| {
            state.nearest.ended(&self.site, outcome, Instant::now());
            state.nearest.latency(&self.site)
        });
        self.near.metrics.read(&self.site, outcome, latency);
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

/// `GET /_bulkhead/nearest` on the admin port: the sites as seen from this router.
pub(crate) fn routes(near: Arc<Near>) -> Router {
    Router::new().route("/_bulkhead/nearest", get(show)).with_state(near)
}

async fn show(AxumState(near): AxumState<Arc<Near>>) -> Json<Vec<Shown>> {
    Json(near.look(|state| {
        let shown = |(site, proven, latency): (&SiteId, bool, Option<Duration>)| Shown {
            site: site.to_string(),
            proven,
            latency_ms: latency.map(|latency| latency.as_secs_f64() * 1000.0),
        };
        state.nearest.view().map(shown).collect()
    }))
}
