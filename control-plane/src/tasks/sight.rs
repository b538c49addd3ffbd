//! Writes what this vantage sees of every site into etcd, for people, and because a process that
//! writes regularly notices when etcd has gone back in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Board, reconcile};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use topology::wire::vantage::{SightedSite, VantageReport};

use crate::decide::State;
use crate::store::etcd::Store;

/// Rare enough to be no load, often enough for whoever looks.
const PERIOD: Duration = Duration::from_secs(2);

/// Writes until stopped.
pub async fn tell(
    store: Store,
    state: watch::Receiver<Arc<State>>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut sequence = 0;
    let once = || {
        sequence += 1;
        let (store, report) = (store.clone(), report(&state.borrow(), sequence));
        async move { Ok(store.tell(&report).await?) }
    };
    // Nobody wakes it: it is no hurry.
    let wake = Notify::new();
    reconcile::reconcile("tell what is seen", &board, &wake, PERIOD, stop, once).await
}

fn report(state: &State, sequence: u64) -> VantageReport {
    let sites = state.sites().iter().map(|(id, site)| {
        let report = site.report();
        let sighted = SightedSite {
            reachable: site.is_reachable(),
            tenure: report.map(|report| report.tenure),
            epoch: report.map(|report| report.epoch),
        };
        (id.to_string(), sighted)
    });
    VantageReport { sequence, sites: sites.collect::<BTreeMap<_, _>>() }
}
