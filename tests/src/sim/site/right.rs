//! Keeps the site's right alive, and ends it on time: `cell::agent::right`, `client::lease`.

use std::time::Duration;

use cell::agent::decide::right::Right;
use client::etcd::PutIf;
use control_plane::store::Lease;
use runtime::clock::BootTime;
use topology::Epoch;
use topology::wire::agent::TenureLine;

use super::keep::Tools;
use super::{Claim, Shared};
use crate::sim::etcd::{Expected, Put};
use crate::sim::sabotage::Sabotage;

const PROMISE_TIME: Duration = Duration::from_millis(400);
const RELEASE_TIME: Duration = Duration::from_millis(200);

/// Renews the lease while a right is claimed.
pub async fn renew(tools: Tools) {
    let (sim, shared, proc) = (tools.sim().clone(), tools.shared.clone(), tools.proc.clone());
    let mut standing = shared.standing.subscribe();
    // The lease's epoch and its count of renewals; a new epoch begins a new one.
    let mut lease: Option<(Epoch, u64)> = None;
    loop {
        let claim = standing.borrow_and_update().claim.clone();
        if let Some(claim) = claim {
            if lease.is_none_or(|(epoch, _)| epoch != claim.epoch) {
                begin(&shared, &claim);
                let again = sim.sabotaged(Sabotage::RenewalsCountedFromOne);
                lease = Some((claim.epoch, if again { 0 } else { proc.now().as_nanos() }));
            }
            let sequence = lease.map_or(0, |(_, sequence)| sequence + 1);
            lease = Some((claim.epoch, sequence));
            let holder = sim.sites[tools.site].region.clone();
            let value = Lease { holder, epoch: claim.epoch, sequence };
            let expected = Expected { cell: claim.revision, lease: None };
            let sent = proc.now();
            let ahead = if sim.sabotaged(Sabotage::RenewalSaidTooSoon) { 3 } else { 0 };
            sim.say_renewing(&proc, &Lease { sequence: sequence + ahead, ..value.clone() });
            match sim.put_if(&proc, Put::Lease(value), expected).await {
                Ok(PutIf::Done { .. }) => {
                    let late = sim.sabotaged(Sabotage::LeaseFromTheReply);
                    let from = if late { proc.now() } else { sent };
                    shared.right.send_modify(|right| {
                        if right.epoch() == claim.epoch {
                            right.renewed(from, &sim.policy);
                        }
                    });
                }
                Ok(PutIf::Stale) => sim.sites[tools.site].refresh.notify_one(),
                Err(_unanswered) => {}
            }
        }
        tokio::select! {
            biased;
            () = standing.changed() => {}
            () = proc.sleep(sim.policy.renew) => {}
        }
    }
}

fn begin(shared: &Shared, claim: &Claim) {
    shared.right.send_if_modified(|right| {
        let fresh = right.epoch() != claim.epoch;
        if fresh {
            *right = Right::new(claim.epoch);
        }
        fresh
    });
}

/// Asks the voters not to elect anybody else, while a right is claimed.
pub async fn collect_promises(tools: Tools) {
    let (sim, shared, proc) = (tools.sim().clone(), tools.shared.clone(), tools.proc.clone());
    let mut standing = shared.standing.subscribe();
    loop {
        let claim = standing.borrow_and_update().claim.clone();
        if let Some(claim) = claim {
            begin(&shared, &claim);
            let mut pending = Vec::new();
            for voter in &claim.voters {
                let (tools, claim, voter) = (tools.clone(), claim.clone(), voter.clone());
                let (done, answer) = tokio::sync::oneshot::channel();
                sim.exec.spawn(proc.id, async move {
                    let (sent, granted) = ask(&tools, &claim, &voter, false, PROMISE_TIME).await;
                    // Whoever asked waits for all.
                    drop(done.send(granted.then_some((voter, sent))));
                });
                pending.push(answer);
            }
            for answer in pending {
                let Ok(Some((voter, sent))) = answer.await else { continue };
                shared.right.send_modify(|right| {
                    if right.epoch() == claim.epoch {
                        right.promised(&voter, sent, &sim.policy);
                    }
                });
            }
        }
        tokio::select! {
            biased;
            () = standing.changed() => {}
            () = proc.sleep(sim.policy.renew) => {}
        }
    }
}

async fn ask(
    tools: &Tools,
    claim: &Claim,
    voter: &topology::RegionId,
    release: bool,
    limit: Duration,
) -> (BootTime, bool) {
    let sim = tools.sim();
    let index = sim.index(voter);
    let (from, epoch) = (tools.site, claim.epoch);
    let sent = tools.proc.now();
    let asked =
        sim.call(&tools.proc, sim.sites[index].agent, limit, move |proc, reply| async move {
            reply.send(proc.sim.promise(index, from, epoch, release));
        });
    (sent, asked.await == Some(true))
}

/// Tells the voters that this site has stopped serving, and waits for them a little.
pub async fn release(tools: &Tools, claim: &Claim) {
    let mut told = Vec::new();
    for voter in &claim.voters {
        let (tools, claim, voter) = (tools.clone(), claim.clone(), voter.clone());
        let (done, answer) = tokio::sync::oneshot::channel();
        let sim = tools.sim().clone();
        sim.exec.spawn(tools.proc.id, async move {
            ask(&tools, &claim, &voter, true, RELEASE_TIME).await;
            // Whoever asked waits for all.
            done.send(()).unwrap_or_default();
        });
        told.push(answer);
    }
    for answer in told {
        drop(answer.await);
    }
}

/// Tells the services until when they may acknowledge, and stops PostgreSQL when that moment comes.
pub async fn guard(tools: Tools) {
    let (sim, shared, proc) = (tools.sim().clone(), tools.shared.clone(), tools.proc.clone());
    let mut standing = shared.standing.subscribe();
    let mut right = shared.right.subscribe();
    loop {
        let now_standing = standing.borrow_and_update().clone();
        right.borrow_and_update();
        let valid_until = shared.valid_until();
        let now = proc.now();
        let begun = valid_until > BootTime::default();
        let over = begun && now >= valid_until;
        sim.check_standing(tools.site, now_standing.epoch);
        let line = TenureLine {
            tenure: now_standing.tenure.into(),
            epoch: now_standing.epoch.0,
            valid_until: valid_until.as_nanos(),
            open: now_standing.open,
            strong: now_standing.strong,
            // No weak write waits here: what its loss may cost is not what these schedules check.
            lagging: false,
        };
        shared.tenure.send_if_modified(|last| {
            let changed = *last != line;
            *last = line;
            changed
        });
        let lapsed = *shared.lapsed.borrow();
        if let Some(claim) = now_standing.claim.filter(|_| over)
            && lapsed < claim.epoch
        {
            sim.pg_stop_now(tools.site);
            sim.trace(|| format!("{}: right ran out, {}", sim.name(tools.site), claim.epoch));
            shared.lapsed.send_replace(claim.epoch);
        }
        tokio::select! {
            biased;
            () = standing.changed() => {}
            () = right.changed() => {}
            () = proc.sleep(valid_until.since(now)), if begun && !over => {}
        }
    }
}
