//! A take-over, step by step: `control_plane::tasks::elect` and `vote`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use control_plane::decide::choose::{Order, Vote, choose};
use control_plane::decide::failover::right_over_at;
use control_plane::decide::state::SeenCell;
use control_plane::store::Kept;
use tokio::sync::mpsc;
use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::agent::{VoteReply, VoteRequest};
use topology::{Activation, Cause, Epoch, Failure, Phase, RegionId};

use super::controller::Hands;
use super::etcd::Expected;
use super::sabotage::Sabotage;

const ROUND: Duration = Duration::from_secs(1);
const VOTE: Duration = Duration::from_secs(2);
const UNLIKELY: Duration = Duration::from_millis(300);
const LATECOMERS: Duration = Duration::from_millis(400);
pub const NEAR_ONES: Duration = Duration::from_millis(20);
const DRY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Won,
    Overtaken,
    Unwilling,
}

/// A site besides the voters whose word counts.
#[derive(Clone, Debug)]
pub enum Predecessor {
    Unasked,
    Reachable(RegionId),
    Unreachable(RegionId),
}

pub async fn take_over(hands: &Hands, seen: &SeenCell, reason: &str) -> Outcome {
    let activation = &seen.routed.activation;
    if !matches!(activation.phase, Phase::Switching { .. }) {
        let holder = activation.holder().filter(|holder| !hands.says_it_serves(holder));
        let predecessor = predecessor(hands, holder);
        if !would_suffice(hands, activation, activation.epoch.next(), predecessor).await {
            return Outcome::Unwilling;
        }
    }
    elect(hands, seen, reason, Some(Cause::failure(Failure::SiteLost))).await
}

pub async fn elect(hands: &Hands, seen: &SeenCell, reason: &str, cause: Option<Cause>) -> Outcome {
    let next = seen.routed.activation.elect(reason);
    let next = cause.into_iter().fold(next, Activation::because);
    let compared = !hands.proc.sim.sabotaged(Sabotage::LeaseNotCompared);
    let lease = compared.then(|| seen.lease_revision());
    let expected = Expected { cell: seen.revision, lease };
    let Some(kept) = hands.replace(&seen.routed, next, expected).await else {
        return Outcome::Overtaken;
    };
    let over_at = right_over_at(seen, hands.policy(), hands.now());
    drive(hands, kept, over_at).await
}

pub async fn drive(hands: &Hands, mut electing: Kept<RoutedCell>, over_at: Instant) -> Outcome {
    let sim = &hands.proc.sim;
    loop {
        let round = hands.now();
        let activation = &electing.value.activation;
        let lost = lost(activation);
        let asked = predecessor(hands, lost);
        let one = sim.sabotaged(Sabotage::OneVoteIsEnough);
        let counted = if one { with_all_acks(activation) } else { activation.clone() };
        let drained = BTreeSet::new();
        let order = Order { regions: &hands.policy().regions, drained: &drained };
        let suffice = |votes: &_| choose(&counted, votes, order, None).is_some();
        let votes = collect(hands, activation, asked, suffice, (LATECOMERS, None)).await;
        if let Some(winner) = choose(&counted, &votes, order, None) {
            let has_predecessor = lost.is_some_and(|lost| votes.contains_key(lost));
            if !has_predecessor && !sim.sabotaged(Sabotage::NoWaitForTheRight) {
                hands.sleep_until(over_at).await;
            }
            let next = activation.promote(winner, votes[winner].place(), &activation.reason);
            sim.check_elected(next.epoch, has_predecessor);
            let expected = Expected { cell: electing.revision, lease: None };
            let promoted = hands.replace(&electing.value, next, expected).await;
            return promoted.map_or(Outcome::Overtaken, |_| Outcome::Won);
        }
        hands.sleep_until(round + ROUND).await;
        let next = activation.elect(&activation.reason);
        let expected = Expected { cell: electing.revision, lease: None };
        match hands.replace(&electing.value, next, expected).await {
            Some(kept) => electing = kept,
            None => return Outcome::Overtaken,
        }
    }
}

/// With as many acknowledgements as voters one vote would be enough.
fn with_all_acks(activation: &Activation) -> Activation {
    Activation { acks: activation.voters.len(), ..activation.clone() }
}

fn lost(activation: &Activation) -> Option<&RegionId> {
    match &activation.phase {
        Phase::Electing { predecessor } => predecessor.as_ref(),
        Phase::Steady { .. } | Phase::Switching { .. } | Phase::Promoting { .. } => None,
    }
}

fn predecessor(hands: &Hands, lost: Option<&RegionId>) -> Predecessor {
    match lost {
        Some(region) if hands.is_reachable(region) => Predecessor::Reachable(region.clone()),
        Some(region) => Predecessor::Unreachable(region.clone()),
        None => Predecessor::Unasked,
    }
}

/// Asks each of `asked` in a task of its own; answers come as they come.
fn ask(
    hands: &Hands,
    asked: impl Iterator<Item = (RegionId, Duration, bool)>,
    epoch: Epoch,
    (dry, after_lsn): (bool, Option<u64>),
) -> mpsc::UnboundedReceiver<(RegionId, bool, VoteReply)> {
    let (answered, answers) = mpsc::unbounded_channel();
    for (region, limit, predecessor) in asked {
        let (hands, answered) = (hands.clone(), answered.clone());
        let sim = Rc::clone(&hands.proc.sim);
        sim.exec.spawn(hands.proc.id, async move {
            let sim = &hands.proc.sim;
            let cell = sim.cell.to_string();
            let epoch = epoch.0;
            let request = VoteRequest { cell, epoch, dry, predecessor, ahead_ms: 0, after_lsn };
            let site = sim.index(&region);
            let reply = sim.ask_vote(&hands.proc, site, request, limit).await;
            // Whoever asked may have enough already.
            drop(answered.send((region, predecessor, reply)));
        });
    }
    answers
}

/// Freezes the voters and returns what they said, as soon as it is enough and nobody worth waiting
/// for is missing.
pub async fn collect(
    hands: &Hands,
    activation: &Activation,
    predecessor: Predecessor,
    suffice: impl Fn(&BTreeMap<RegionId, Vote>) -> bool,
    (latecomers, after_lsn): (Duration, Option<u64>),
) -> BTreeMap<RegionId, Vote> {
    let mut pending: BTreeSet<RegionId> = activation.voters.clone();
    let last = match predecessor {
        Predecessor::Unasked => None,
        Predecessor::Reachable(region) => {
            pending.insert(region.clone());
            Some((region, VOTE, true))
        }
        Predecessor::Unreachable(region) => Some((region, UNLIKELY, true)),
    };
    let all = activation.voters.iter().map(|voter| (voter.clone(), VOTE, false));
    let mut replies = ask(hands, all.chain(last), activation.epoch, (false, after_lsn));
    let mut votes = BTreeMap::new();
    let mut late = false;
    let latecomers = hands.proc.sleep(latecomers);
    tokio::pin!(latecomers);
    loop {
        if suffice(&votes) && (late || pending.is_empty()) {
            return votes;
        }
        tokio::select! {
            biased;
            reply = replies.recv() => match reply {
                Some((region, _, reply)) => {
                    pending.remove(&region);
                    if let VoteReply::Frozen { system, timeline, begun, lsn } = reply {
                        votes.insert(region, Vote { system, timeline, begun, lsn });
                    }
                }
                None => return votes,
            },
            () = &mut latecomers, if !late => late = true,
        }
    }
}

/// Asks, without any effect, whether an election would come to a result.
async fn would_suffice(
    hands: &Hands,
    activation: &Activation,
    epoch: Epoch,
    predecessor: Predecessor,
) -> bool {
    let last = match predecessor {
        Predecessor::Unasked | Predecessor::Unreachable(_) => None,
        Predecessor::Reachable(region) => Some((region, DRY, true)),
    };
    let voters = activation.voters.iter().map(|voter| (voter.clone(), DRY, false));
    let mut answers = ask(hands, voters.chain(last), epoch, (true, None));
    let one = hands.proc.sim.sabotaged(Sabotage::OneVoteIsEnough);
    let needed = if one { 1 } else { activation.votes_needed() };
    let mut willing = 0;
    while let Some((_, predecessor, reply)) = answers.recv().await {
        if reply == VoteReply::Willing {
            willing += 1;
            if predecessor || willing >= needed {
                return true;
            }
        }
    }
    false
}
