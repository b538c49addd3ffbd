//! Hands a site's cell over: `cell::agent::keep::hand_over`.

use std::time::Duration;

use topology::Epoch;
use topology::wire::agent::TenureName;

use super::abandon::{abandon, flushed, has_slow_disk};
use super::keep::{Done, Failure, Tools};
use crate::sim::pg::{POLL, Stop};
use crate::sim::sabotage::Sabotage;

const DRAIN_LIMIT: Duration = Duration::from_millis(300);
const STOP_LIMIT: Duration = Duration::from_millis(1500);
const ASK_TIME: Duration = Duration::from_millis(100);

pub async fn hand_over(tools: Tools, epoch: Epoch) -> Result<Done, Failure> {
    let too_soon = tools.sim().sabotaged(Sabotage::FlushedReadBeforeTheGate);
    let before = if too_soon { Some(flushed(&tools).await?) } else { None };
    drain(&tools).await;
    if has_slow_disk(&tools) {
        return abandon(&tools, epoch, before).await;
    }
    tools.sim().pg_stop(&tools.proc, tools.site, Stop::Fast, STOP_LIMIT).await;
    let checkpoint = tools.pg().disk.borrow().clean.ok_or("stop PostgreSQL cleanly")?;
    let timeline = tools.sim().wal.timeline(tools.pg().head());
    tools.pg().unmark_primary();
    Ok(Done::Stopped { epoch, checkpoint: (timeline, checkpoint) })
}

async fn drain(tools: &Tools) {
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
            return;
        }
        tools.proc.sleep(POLL).await;
    }
}
