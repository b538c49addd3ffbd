//! Hands a site's cell over: `cell::agent::keep::hand_over`.

use std::time::Duration;

use cell::agent::decide::tenure::Event;
use topology::Epoch;
use topology::wire::agent::TenureName;

use super::abandon::{abandon, flushed, has_slow_disk};
use super::keep::{Done, Failure, Tools, close_gate};
use super::{Claim, right};
use crate::sim::pg::{POLL, Stop};
use crate::sim::sabotage::Sabotage;

const DRAIN_LIMIT: Duration = Duration::from_millis(300);
const STOP_LIMIT: Duration = Duration::from_millis(1500);
const ASK_TIME: Duration = Duration::from_millis(100);

pub async fn hand_over(tools: Tools, epoch: Epoch) -> Result<Done, Failure> {
    let too_soon = tools.sim().sabotaged(Sabotage::FlushedReadBeforeTheGate);
    let before = if too_soon { Some(flushed(&tools).await?) } else { None };
    let drained = drain(&tools).await;
    if has_slow_disk(&tools) {
        return abandon(&tools, epoch, before).await;
    }
    if drained && let Some(claim) = close_gate(&tools.shared, Event::Drained) {
        let telling = tools.clone();
        let told = async move { right::release(&telling, &claim).await };
        tools.sim().exec.spawn(tools.proc.id, told);
    }
    let checkpoint = tools.sim().pg_last_checkpoint(&tools.proc, tools.site, STOP_LIMIT).await;
    let checkpoint = checkpoint.ok_or("stop PostgreSQL cleanly")?;
    let timeline = tools.sim().wal.timeline(tools.pg().head());
    Ok(Done::Stopped { epoch, checkpoint: (timeline, checkpoint) })
}

/// Waits until all has been sent, and the server has ended.
pub async fn end(tools: Tools, claim: Option<Claim>) -> Result<Done, Failure> {
    tools.sim().pg_end(&tools.proc, tools.site, Stop::Fast, STOP_LIMIT).await;
    tools.pg().unmark_primary();
    if let Some(claim) = claim {
        right::release(&tools, &claim).await;
    }
    Ok(Done::Following)
}

async fn drain(tools: &Tools) -> bool {
    let site = tools.site;
    let deadline = tools.proc.now() + DRAIN_LIMIT;
    while tools.proc.now() < deadline {
        let gateway = tools.sim().sites[site].gateway;
        let asked =
            tools.sim().call(&tools.proc, gateway, ASK_TIME, move |proc, reply| async move {
                let site = &proc.sim.sites[site];
                let draining = site.right.get().is_some_and(|it| it.tenure == TenureName::Draining);
                reply.send(draining && site.in_flight.get() == 0);
            });
        if asked.await == Some(true) {
            return true;
        }
        tools.proc.sleep(POLL).await;
    }
    false
}
