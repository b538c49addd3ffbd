//! Writes down what was noticed and decided about cells, one entry after the other: what matters while
//! cells move comes first, and what an observer saw that was cut off is written once it is back.

use std::collections::VecDeque;
use std::time::Duration;

use runtime::Board;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use topology::CellId;
use topology::wire::evidence::EvidenceRecord;
use tracing::warn;

use crate::store::etcd::Store;

/// Pause after etcd has not taken an entry.
const AGAIN: Duration = Duration::from_secs(1);
/// Entries that wait for etcd: two of each cell of a large platform, some megabytes. The oldest are given
/// up beyond that.
const WAITING_MAX: usize = 2000;

/// Something about a cell that is to be kept.
pub type Entry = (CellId, EvidenceRecord);

/// Writes what comes in until stopped.
pub async fn remember(
    store: Store,
    mut entries: mpsc::Receiver<Entry>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut waiting: VecDeque<Entry> = VecDeque::new();
    let mut failed = false;
    loop {
        let pause = if failed { AGAIN } else { Duration::ZERO };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(entry) = entries.recv() => {
                waiting.push_back(entry);
                if waiting.len() > WAITING_MAX {
                    let given_up = waiting.pop_front();
                    let cell = given_up.map(|(cell, _)| cell.to_string());
                    warn!(cell, "evidence not kept");
                }
                continue;
            }
            () = sleep(pause), if !waiting.is_empty() => {}
        }
        let Some((cell, record)) = waiting.front() else { continue };
        let written = store.write_evidence(cell, record).await;
        failed = written.is_err();
        board.record("remember the evidence", written.map_err(|err| err.to_string()));
        if !failed {
            waiting.pop_front();
        }
    }
}
