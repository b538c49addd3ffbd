//! Hands a cell over whose disk is too slow for a clean stop: `cell::agent::keep::abandon`.

use std::time::Duration;

use cell::agent::decide::tenure::Event;
use topology::wire::agent::TenureName;
use topology::{Epoch, Phase};

use super::keep::{Done, Failure, Tools};
use crate::sim::pg::{POLL, WAIT};
use crate::sim::sabotage::Sabotage;

const ASK_TIME: Duration = Duration::from_millis(100);
const HEARD_LIMIT: Duration = Duration::from_millis(300);
const ARRIVED_LIMIT: Duration = Duration::from_millis(500);

pub fn has_slow_disk(tools: &Tools) -> bool {
    tools.pg().slow.get() > 0
}

/// `before` is what was flushed when the hand-over began, where that is taken for all there is.
pub async fn abandon(tools: &Tools, epoch: Epoch, before: Option<u64>) -> Result<Done, Failure> {
    let sim = tools.sim();
    tools.shared.standing.send_modify(|standing| {
        standing.tenure = standing.tenure.after(Event::Lapsed).unwrap_or(standing.tenure);
        standing.open = false;
        standing.strong = false;
    });
    if !sim.sabotaged(Sabotage::HandedOverBeforeTheGatewayKnows) {
        gateway_knows(tools).await?;
    }
    let flushed = match before {
        Some(before) => before,
        None => flushed(tools).await?,
    };
    arrived(tools, epoch, flushed).await?;
    let timeline = sim.wal.timeline(tools.pg().head());
    sim.pg_stop_now(tools.site);
    sim.checker.borrow_mut().counts.abandoned += 1;
    Ok(Done::Abandoned { epoch, flushed: (timeline, flushed) })
}

/// Waits until the gateway has heard that the gate is closed.
pub async fn gateway_knows(tools: &Tools) -> Result<(), Failure> {
    let (sim, site) = (tools.sim(), tools.site);
    let deadline = tools.proc.now() + HEARD_LIMIT;
    while tools.proc.now() < deadline {
        let asked = sim.call(
            &tools.proc,
            sim.sites[site].gateway,
            ASK_TIME,
            move |proc, reply| async move {
                let tenure = proc.sim.sites[site].right.get().map(|right| right.tenure);
                reply.send(matches!(tenure, Some(TenureName::Fenced | TenureName::Standby)));
            },
        );
        if asked.await == Some(true) {
            return Ok(());
        }
        tools.proc.sleep(POLL).await;
    }
    Err("close the gateway in time")
}

pub async fn flushed(tools: &Tools) -> Result<u64, Failure> {
    let (sim, site) = (tools.sim(), tools.site);
    let asked =
        sim.call(&tools.proc, sim.sites[site].postgres, WAIT, move |proc, reply| async move {
            if proc.sim.pg(site).is_ready() {
                reply.send(proc.sim.flushed(site));
            }
        });
    asked.await.ok_or("ask how far it is")
}

/// Waits until the target has everything up to there.
async fn arrived(tools: &Tools, epoch: Epoch, flushed: u64) -> Result<(), Failure> {
    let sim = tools.sim();
    let known = tools.shared.known.borrow().clone().ok_or("know the cell's record")?;
    let Phase::Switching { target, .. } = &known.activation().phase else {
        return Err("hand over without a planned move");
    };
    if known.activation().epoch != epoch {
        return Err("hand over for an epoch that is over");
    }
    let target = sim.index(target);
    let claim = tools.shared.standing.borrow().claim.clone().ok_or("hand over without a claim")?;
    let deadline = tools.proc.now() + ARRIVED_LIMIT;
    while tools.proc.now() < deadline {
        let has_it = tools.pg().run.borrow().iter().flat_map(|run| &run.senders).any(|sender| {
            sender.site == target
                && sender.epoch == claim.epoch.0
                && sender.streaming.get()
                && sender.flushed.get() >= flushed
        });
        if has_it {
            return Ok(());
        }
        tools.proc.sleep(POLL).await;
    }
    Err("see the target have what was flushed in time")
}
