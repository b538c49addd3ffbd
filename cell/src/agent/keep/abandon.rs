//! Hands a cell over whose disk is too slow or too full for a clean stop: what a shutdown has to write would
//! take longer than users wait, or have no room.
//!
//! ```text
//!   gate closed ──▶ gateway knows ──▶ what was flushed by then is with the target ──▶ database stopped at once
//! ```
//!
//! Whatever was acknowledged had been flushed here before (I5), and nothing is once the gateway knows. What is
//! committed after that is in nobody's answer: it is kept as lost writes when this site comes back.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};
use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;
use topology::{Epoch, Phase, SiteId};

use super::hand_over::{POLL, in_flight};
use super::{Done, Tools};
use crate::agent::decide::tenure::Event;
use crate::agent::postgres::{Position, standby_name};

/// How long the gateway may take to hear of it: it hears at once, unless it is not run.
const HEARD_LIMIT: Duration = Duration::from_millis(300);
/// How long the target may take to have what was flushed here: it is sent as soon as it is.
const ARRIVED_LIMIT: Duration = Duration::from_millis(500);

/// Returns whether PostgreSQL takes far longer than usual to have anything on disk, or has no room there.
pub(super) fn has_bad_disk(tools: &Tools) -> bool {
    let report = tools.shared.report.borrow();
    report.as_ref().is_some_and(SiteReport::has_bad_disk)
}

pub(super) async fn abandon(tools: &Tools, epoch: Epoch) -> anyhow::Result<Done> {
    let name = target(tools, epoch)?;
    tools.shared.standing.send_modify(|standing| {
        standing.tenure = standing.tenure.after(Event::Lapsed).unwrap_or(standing.tenure);
        standing.open = false;
        standing.strong = false;
    });
    gateway_knows(tools).await?;
    let flushed = arrived(tools, &name).await?;
    let Position { timeline, .. } = tools.postgres.position(None).await?;
    tools.postgres.stop_now();
    Ok(Done::Abandoned { epoch, flushed: Position { timeline, lsn: flushed } })
}

/// Returns what the stream of the move's target is called.
fn target(tools: &Tools, epoch: Epoch) -> anyhow::Result<String> {
    let known = tools.shared.known.borrow();
    let activation = known.as_ref().context("know the cell's record")?.activation();
    let Phase::Switching { target, .. } = &activation.phase else {
        bail!("hand over without a planned move");
    };
    ensure!(activation.epoch == epoch, "hand over for epoch {epoch}: it is over");
    let claim =
        tools.shared.standing.borrow().claim.clone().context("hand over without a claim")?;
    let site = SiteId { cell: tools.site.id.cell.clone(), region: target.clone() };
    Ok(standby_name(&site, claim.epoch))
}

/// Waits until the gateway has heard that the gate is closed. One that cannot be asked may still be answering
/// what it had begun, and is not taken for gone.
pub(super) async fn gateway_knows(tools: &Tools) -> anyhow::Result<()> {
    let deadline = Instant::now() + HEARD_LIMIT;
    loop {
        match in_flight(tools).await {
            Ok(state) if matches!(state.tenure, Some(TenureName::Fenced | TenureName::Standby)) => {
                return Ok(());
            }
            Ok(_) | Err(_) => {
                ensure!(Instant::now() < deadline, "close the gateway within {HEARD_LIMIT:?}");
                sleep(POLL).await;
            }
        }
    }
}

/// Waits until the target has what has been flushed here by now, and returns how far that is.
async fn arrived(tools: &Tools, name: &str) -> anyhow::Result<u64> {
    let deadline = Instant::now() + ARRIVED_LIMIT;
    let mut flushed = None;
    loop {
        let seen = tools.postgres.sql.replication().await?;
        let flushed = *flushed.get_or_insert(seen.flushed);
        if seen.standbys.get(name).is_some_and(|standby| standby.flushed >= flushed) {
            return Ok(flushed);
        }
        ensure!(Instant::now() < deadline, "see {name} reach {flushed} within {ARRIVED_LIMIT:?}");
        sleep(POLL).await;
    }
}
