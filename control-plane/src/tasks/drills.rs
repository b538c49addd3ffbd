//! Reads what drills came to: at each hint, and every minute whatever the hints say. Nothing is decided
//! by it but whether a person should look.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Board, reconcile};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::decide::drills::Drills;
use crate::metrics;
use crate::store::etcd::Store;
use crate::tasks::suite::Schedule;

/// A drill takes minutes; whoever waits for its record may wait as long.
const PERIOD: Duration = Duration::from_mins(1);
/// Pause after etcd could not be read.
const AGAIN: Duration = Duration::from_secs(1);
/// As many drills as a suite has at most.
const SERIES_MAX: usize = 200;

/// Reads until stopped. While etcd cannot be read, what was read last stays.
pub async fn read(
    store: Store,
    drills: watch::Sender<Arc<Drills>>,
    schedule: watch::Receiver<Option<Arc<Schedule>>>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let wake = Arc::new(Notify::new());
    let once = || {
        let (store, drills, wake) = (store.clone(), drills.clone(), Arc::clone(&wake));
        let schedule = schedule.clone();
        async move {
            let runs = match store.drills().await {
                Ok(runs) => runs,
                Err(err) => {
                    // The next look by itself is a minute away.
                    tokio::time::sleep(AGAIN).await;
                    wake.notify_one();
                    return Err(err).context("read the drills");
                }
            };
            let read = Drills { read_at: Some(Instant::now()), runs };
            metrics::drill_passed(read.passed_unix_ms());
            let schedule = schedule.borrow().clone();
            let plan = schedule.as_ref().and_then(|known| known.followed());
            let expected = plan.map_or(&[][..], |plan| plan.expected.as_slice());
            let passes = expected.iter().take(SERIES_MAX);
            metrics::last_passes(passes.map(|it| (it.drill.as_str(), read.passed_of(&it.drill))));
            drills.send_replace(Arc::new(read));
            Ok(())
        }
    };
    tokio::select! {
        () = store.hint_drills(&wake, &stop) => Ok(()),
        ended = reconcile::reconcile("read the drills", &board, &wake, PERIOD, stop.clone(), once) => {
            ended
        }
    }
}
