//! Follows the cell's own record in etcd: a watch as a hint, a full read as the truth.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use client::etcd::{Heard, Written};
use runtime::Board;
use runtime::clock::BootTime;
use tokio_util::sync::CancellationToken;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::{CellId, Phase};
use tracing::warn;

use super::shared::{Known, Shared};
use crate::config::Site;

/// How long a lost watch event may go unnoticed.
const PERIOD: Duration = Duration::from_secs(1);

pub(crate) async fn follow_cell(
    site: Arc<Site>,
    etcd: Etcd,
    shared: Arc<Shared>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let own = key::cell(&site.id.cell);
    let prefixes = [own.as_str()];
    let heard = Heard::default();
    let read = || async {
        match read_heard(&site.id.cell, &etcd, &heard, &shared).await? {
            Some(older) => write_anew(&site, &etcd, &shared, older).await,
            None => Ok(()),
        }
    };
    tokio::select! {
        () = etcd.hint(&prefixes, &heard, &shared.refresh, &stop) => Ok(()),
        ended = runtime::reconcile::reconcile(
            "follow the cell", &board, &shared.refresh, PERIOD, stop.clone(), read,
        ) => ended,
    }
}

/// Reads the record now, from a majority, and makes it known, as [`read_heard`] does.
pub(crate) async fn read(
    cell: &CellId,
    etcd: &Etcd,
    shared: &Shared,
) -> anyhow::Result<Option<Known>> {
    read_heard(cell, etcd, &Heard::default(), shared).await
}

/// Reads the record where a change was heard of, else from a majority, and makes it known; nothing
/// happens while the cell has not been set up. Returns the record if it is of an earlier epoch than is
/// known here, though etcd says that it is the newest: etcd has gone back in time.
async fn read_heard(
    cell: &CellId,
    etcd: &Etcd,
    heard: &Heard,
    shared: &Shared,
) -> anyhow::Result<Option<Known>> {
    let own = key::cell(cell);
    let stored = etcd.read_heard(heard, &[&own]).await.context("read the cell's record")?;
    // A prefix read may also find c10 beside c1.
    let Some(entry) = stored.into_iter().find(|entry| entry.key == own) else { return Ok(None) };
    let record: CellRecord =
        serde_json::from_slice(&entry.value).context("understand the cell's record")?;
    let cell = record.try_into().context("understand the cell's record")?;
    let found = Known { cell, revision: entry.revision, version: entry.version };
    let went_back = shared.known.borrow().as_ref().is_some_and(|known| {
        found.version > known.version && found.activation().epoch < known.activation().epoch
    });
    if went_back {
        return Ok(Some(found));
    }
    shared.learn(found);
    Ok(None)
}

/// The site that serves by its voters' promises writes into an etcd that has gone back what it does
/// not know any more: the next epoch, opened here. Everybody else waits for that.
async fn write_anew(site: &Site, etcd: &Etcd, shared: &Shared, older: Known) -> anyhow::Result<()> {
    let known = shared.known.borrow().clone().context("know the cell's record")?;
    let activation = known.activation();
    let serves = activation.serving() == Some(&site.id.region)
        && BootTime::now() < shared.valid_until()
        && shared.standing.borrow().claim.as_ref().is_some_and(|c| c.epoch == activation.epoch);
    if !serves {
        return Ok(());
    }
    let mut next = activation.clone();
    next.epoch = activation.epoch.next();
    next.phase = Phase::Promoting { active: site.id.region.clone() };
    next.reason = format!(
        "etcd had gone back to epoch {}, {} served under epoch {}",
        older.activation().epoch,
        site.id,
        activation.epoch
    );
    warn!(reason = next.reason, "writing the cell's record anew");
    let cell = RoutedCell { activation: next, gateways: known.cell.gateways };
    let value = serde_json::to_vec(&CellRecord::from(&cell)).context("write the cell's record")?;
    let own = key::cell(&site.id.cell);
    let written = etcd.swap(&own, &value, &[(&own, older.revision)]).await;
    if let Some(Written { revision, version }) = written.context("write the record anew")? {
        shared.learn(Known { cell, revision, version });
    }
    Ok(())
}
