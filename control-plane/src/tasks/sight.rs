//! Writes what this vantage sees of every site into etcd: for the other vantages, for people, and
//! because a process that writes regularly notices when etcd has gone back in time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::{Board, reconcile};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use topology::SiteId;
use topology::wire::vantage::{Health, VantageReport};

use crate::decide::State;
use crate::store::etcd::Store;

/// Rare enough to be no load, often enough that others know this vantage to be alive.
const PERIOD: Duration = Duration::from_secs(2);
/// The least time between two: news travels this fast, and a site that comes and goes is no storm.
const NEWS: Duration = Duration::from_millis(200);

/// Writes until stopped.
pub async fn tell(
    store: Store,
    mut state: watch::Receiver<Arc<State>>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut sequence = 0;
    let wake = Notify::new();
    let told = Mutex::new(BTreeMap::new());
    let states = state.clone();
    let once = || {
        sequence += 1;
        let report = report(&states.borrow(), sequence);
        *told.lock().unwrap_or_else(PoisonError::into_inner) = bad(&states.borrow());
        let store = store.clone();
        async move { Ok(store.tell(&report).await?) }
    };
    let news = async {
        while state.changed().await.is_ok() {
            let seen = bad(&state.borrow_and_update());
            if seen != *told.lock().unwrap_or_else(PoisonError::into_inner) {
                wake.notify_one();
                tokio::time::sleep(NEWS).await;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        told = reconcile::reconcile("tell what is seen", &board, &wake, PERIOD, stop, once) => told,
        () = news => Ok(()),
    }
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
