//! Run one idempotent function on wake-up and on a timer; remember its last result.
//!
//! The function takes no argument and does not retry inside: the next run is the retry.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Board;

/// Runs `work` whenever `wake` is notified, and at least every `period`, until stopped. Its last
/// result is on the board under `name`; a change between working and failing is logged once.
pub async fn reconcile<F, Fut>(
    name: &str,
    board: &Board,
    wake: &Notify,
    period: Duration,
    stop: CancellationToken,
    mut work: F,
) -> anyhow::Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    while !stop.is_cancelled() {
        let result = work().await.map_err(|err| format!("{err:#}"));
        match (&result, board.record(name, result.clone())) {
            (Err(error), true) => warn!(task = name, error, "failing"),
            (Ok(()), true) => info!(task = name, "working"),
            (_, false) => {}
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(period) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}
