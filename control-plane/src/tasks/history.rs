//! Writes down where cells are active, as soon as it is seen. Every control plane tries; the first one's
//! entry stays.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Board, clock};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use topology::wire::history::HistoryRecord;
use topology::{CellId, RegionId};
use tracing::warn;

use crate::decide::State;
use crate::decide::history::Chronicle;
use crate::store::etcd::Store;

/// Pause after etcd has not taken an entry.
const AGAIN: Duration = Duration::from_secs(1);
/// Entries that wait for etcd: every cell of a large platform moved once. The oldest are given up
/// beyond that; another control plane may have written them.
const WAITING_MAX: usize = 2000;

/// Keeps the history until stopped.
pub async fn keep(
    store: Store,
    vantage: RegionId,
    mut state: watch::Receiver<Arc<State>>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut chronicle = Chronicle::new(vantage);
    let mut waiting: VecDeque<(CellId, HistoryRecord)> = VecDeque::new();
    loop {
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return Ok(()) },
            () = sleep(AGAIN), if !waiting.is_empty() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let seen = Arc::clone(&state.borrow_and_update());
        for (cell, seen) in seen.cells() {
            let news = chronicle.saw(cell, &seen.routed.activation, clock::unix_millis());
            waiting.extend(news.map(|record| (cell.clone(), record)));
        }
        while waiting.len() > WAITING_MAX {
            let given_up = waiting.pop_front();
            warn!(cell = given_up.map(|(cell, _)| cell.to_string()), "history entry given up");
        }
        let written = write(&store, &mut waiting).await.map_err(|err| err.to_string());
        board.record("write the history", written);
    }
}

async fn write(
    store: &Store,
    waiting: &mut VecDeque<(CellId, HistoryRecord)>,
) -> Result<(), client::etcd::EtcdError> {
    while let Some((cell, record)) = waiting.front() {
        store.write_history(cell, record).await?;
        waiting.pop_front();
    }
    Ok(())
}
