//! What this vantage sees of every site: told to the other vantages, which ask and wait for news, and
//! written into etcd, for people, and because a process that writes regularly notices when etcd has gone
//! back in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::response::Json;
use axum::routing::get;
use runtime::{Board, reconcile};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use topology::SiteId;
use topology::wire::vantage::{Health, VantageReport};

use crate::decide::State;
use crate::store::etcd::Store;

/// Rare enough to be no load, often enough that others know this vantage to be alive.
const PERIOD: Duration = Duration::from_secs(2);
/// The least time between two: news travels this fast, and a site that comes and goes is no storm.
const NEWS: Duration = Duration::from_millis(200);
/// How long a vantage that has nothing new is waited for, beside what the way takes: it has something
/// every two seconds.
pub(super) const NO_NEWS: Duration = Duration::from_millis(2500);

/// The last report of this vantage. All clones are one.
pub type Told = Arc<watch::Sender<VantageReport>>;

/// Returns where the report goes; nothing has been seen yet.
#[must_use]
pub fn nothing_yet() -> Told {
    Arc::new(watch::channel(VantageReport { sequence: 0, sites: BTreeMap::new() }).0)
}

/// Makes a report at each news, and every two seconds without any, until stopped.
pub async fn look(
    mut state: watch::Receiver<Arc<State>>,
    told: Told,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut sequence = 0;
    while !stop.is_cancelled() {
        sequence += 1;
        let (report, seen) = {
            let state = state.borrow_and_update();
            (report(&state, sequence), bad(&state))
        };
        told.send_replace(report);
        let next = Instant::now() + PERIOD;
        sleep(NEWS).await;
        tokio::select! {
            // An error means that nobody looks after the state any more: the process ends.
            changed = state.wait_for(|state| bad(state) != seen) => if changed.is_err() { return Ok(()) },
            () = sleep_until(next) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Writes each report into etcd until stopped; of those that came meanwhile, the last.
pub async fn write(
    store: Store,
    told: Told,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let wake = Notify::new();
    let mut reports = told.subscribe();
    let once = || {
        let report = told.borrow().clone();
        let store = store.clone();
        async move { Ok(store.tell(&report).await?) }
    };
    let news = async {
        while reports.changed().await.is_ok() {
            wake.notify_one();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        told = reconcile::reconcile("tell what is seen", &board, &wake, PERIOD, stop, once) => told,
        () = news => Ok(()),
    }
}

/// `GET /sight?after=N` on the admin endpoint: the report, once it is another one than that.
pub fn routes(told: Told) -> Router {
    Router::new().route("/sight", get(sight)).with_state(told)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn sight(Shared(told): Shared<Told>, Query(known): Query<After>) -> Json<VantageReport> {
    let mut reports = told.subscribe();
    let news = reports.wait_for(|report| report.sequence != known.after);
    // Without news whoever asks hears that this vantage is there, at least.
    let report = match timeout(NO_NEWS, news).await {
        Ok(Ok(report)) => report.clone(),
        Ok(Err(_)) | Err(_) => told.borrow().clone(),
    };
    Json(report)
}

fn report(state: &State, sequence: u64) -> VantageReport {
    let sites = state.sites().iter().map(|(id, site)| (id.to_string(), site.sighted()));
    VantageReport { sequence, sites: sites.collect() }
}

/// What others should know at once.
fn bad(state: &State) -> BTreeMap<SiteId, Health> {
    let sites = state.sites().iter().map(|(id, site)| (id, site.health().0));
    sites.filter(|(_, health)| health.is_bad()).map(|(id, health)| (id.clone(), health)).collect()
}
