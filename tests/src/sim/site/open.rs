//! Opens an epoch: `cell::agent::keep::open`.

use std::collections::BTreeSet;
use std::time::Duration;

use cell::agent::decide::tenure::Event;
use topology::{Activation, Epoch};

use super::Known;
use super::keep::{Done, Failure, Tools, change};
use crate::sim::pg::{Conf, WAIT};
use crate::sim::sabotage::Sabotage;
use crate::sim::wal::What;

const RIGHT_LIMIT: Duration = Duration::from_secs(5);
const BARRIER_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

pub async fn open(tools: Tools, known: Known) -> Result<Done, Failure> {
    let activation = known.activation().clone();
    let epoch = activation.epoch;
    run_as_primary(&tools, &known).await?;
    // Roles, schema: a few small transactions, which wait for nobody.
    let site = tools.site;
    let written = tools.sim().call(
        &tools.proc,
        tools.sim().sites[site].postgres,
        WAIT,
        move |proc, reply| async move {
            proc.sim.flush(&proc, site).await;
            if proc.sim.pg(site).is_ready() && !proc.sim.pg(site).is_standby() {
                proc.sim.write_wal(site, What::Other);
                reply.send(());
            }
        },
    );
    written.await.ok_or("bring the schema up to date")?;
    refuse_used_epoch(&tools, &known).await?;
    let me = tools.sim().sites[site].region.clone();
    let opened = activation.open(&me, &activation.reason);
    tools.shared.standing.send_modify(|standing| {
        standing.tenure = standing.tenure.after(Event::Granted).unwrap_or(standing.tenure);
        standing.open = false;
        standing.strong = true;
    });
    tools.sim().check_opened(site, epoch, false);
    let (known, strong) = tokio::try_join!(publish(&tools, &known, opened), passes(&tools, epoch))?;
    Ok(Done::Opened { known, strong })
}

async fn publish(tools: &Tools, known: &Known, opened: Activation) -> Result<Known, Failure> {
    let changed = change(tools, known, opened).await?;
    let known = changed.ok_or("open an epoch that is over")?;
    tools.shared.standing.send_modify(|standing| {
        if let Some(claim) = &mut standing.claim {
            claim.revision = known.revision;
        }
    });
    Ok(known)
}

async fn passes(tools: &Tools, epoch: Epoch) -> Result<bool, Failure> {
    if !tools.sim().sabotaged(Sabotage::NoBarrier) {
        match tools.proc.timeout(BARRIER_LIMIT, barrier(tools, epoch)).await {
            Some(passed) => passed?,
            None => return Ok(false),
        }
    }
    tools.sim().check_opened(tools.site, epoch, true);
    tools.shared.standing.send_modify(|standing| standing.open = true);
    Ok(true)
}

async fn refuse_used_epoch(tools: &Tools, known: &Known) -> Result<(), Failure> {
    let epoch = known.activation().epoch;
    let sim = tools.sim();
    let newest = sim.wal.find(sim.pg(tools.site).head(), |_, record| match record.what {
        What::Barrier { epoch, site } => Some(Some((Epoch(epoch), site))),
        What::Other | What::Strong(_) | What::Weak(_) => (record.depth == 0).then_some(None),
    });
    let Some((newest, site)) = newest.flatten() else { return Ok(()) };
    if newest < epoch || (newest == epoch && site == tools.site) {
        return Ok(());
    }
    let mut next = known.activation().clone();
    next.epoch = newest.next();
    next.reason = format!("epoch {newest} has been opened in {site} already");
    if let Some(known) = change(tools, known, next).await? {
        tools.shared.learn(known);
    }
    Err("open an epoch that has been opened elsewhere")
}

async fn hold_right(tools: &Tools) -> Result<(), Failure> {
    let held = async {
        while tools.shared.valid_until() <= tools.proc.now() {
            tools.proc.sleep(POLL).await;
        }
    };
    tools.proc.timeout(RIGHT_LIMIT, held).await.ok_or("hold the lease")
}

async fn run_as_primary(tools: &Tools, known: &Known) -> Result<(), Failure> {
    let activation = known.activation();
    let (sim, site, pg) = (tools.sim(), tools.site, tools.pg());
    let voters: BTreeSet<usize> = activation.voters.iter().map(|it| sim.index(it)).collect();
    let names =
        Conf::Names { sites: voters, acks: activation.acks.max(1), epoch: activation.epoch.0 };
    if pg.is_standby() {
        if !pg.is_running() {
            sim.pg_start_standby(&tools.proc, site, None).await?;
        }
        sim.configure(site, names);
        refuse_used_epoch(tools, known).await?;
        hold_right(tools).await?;
        pg.mark_primary();
        sim.pg_promote(&tools.proc, site).await
    } else {
        hold_right(tools).await?;
        pg.mark_primary();
        sim.configure(site, names);
        if pg.is_running() { Ok(()) } else { sim.pg_start(&tools.proc, site).await }
    }
}

/// Returns only when enough voters have flushed it, and with it everything before.
pub async fn barrier(tools: &Tools, epoch: Epoch) -> Result<(), Failure> {
    let passed = tools.sim().pg_barrier(&tools.proc, tools.site, epoch.0).await;
    passed.ok_or("pass the barrier")
}
