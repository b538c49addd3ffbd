//! Follows the cell's own record in etcd: a watch as a hint, a full read as the truth.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use runtime::Board;
use tokio_util::sync::CancellationToken;
use topology::CellId;
use topology::wire::cell::CellRecord;
use topology::wire::key;

use super::shared::{Known, Shared};

/// How long a lost watch event may go unnoticed.
const PERIOD: Duration = Duration::from_secs(1);

pub(crate) async fn follow_cell(
    cell: CellId,
    etcd: Etcd,
    shared: Arc<Shared>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let own = key::cell(&cell);
    let prefixes = [own.as_str()];
    let read = || read(&cell, &etcd, &shared);
    tokio::select! {
        () = etcd.hint(&prefixes, &shared.refresh, &stop) => Ok(()),
        ended = runtime::reconcile::reconcile(
            "follow the cell", &board, &shared.refresh, PERIOD, stop.clone(), read,
        ) => ended,
    }
}

/// Reads the record now and makes it known; `Ok` without one while the cell has not been set up.
pub(crate) async fn read(cell: &CellId, etcd: &Etcd, shared: &Shared) -> anyhow::Result<()> {
    let own = key::cell(cell);
    let stored = etcd.read(&[&own]).await.context("read the cell's record")?;
    // A prefix read may also find c10 beside c1.
    if let Some(entry) = stored.into_iter().find(|entry| entry.key == own) {
        let record: CellRecord =
            serde_json::from_slice(&entry.value).context("understand the cell's record")?;
        let cell = record.try_into().context("understand the cell's record")?;
        shared.learn(Known { cell, revision: entry.revision });
    }
    Ok(())
}
