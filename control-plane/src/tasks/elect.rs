//! Carries out a take-over, step by step: ask, end the old right, freeze the votes, write who won.
//! The agents do the rest by following the cell's record.
//!
//! ```text
//!  pre-vote ──▶ electing (compare cell and lease) ──▶ votes ──▶ promoting
//!                   ▲                                   │
//!                   └── a second later, next epoch ◀────┘ too few
//! ```

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use topology::snapshot::RoutedCell;
use topology::{Activation, Cause, CellId, Epoch, Phase, RegionId};
use tracing::{info, warn};

use super::hands::Hands;
use super::vote::{Ballot, LATECOMERS, Patience, Predecessor, collect, would_suffice};
use crate::decide::Fact;
use crate::decide::choose::{Order, choose};
use crate::decide::failover::{right_over_at, silent_since};
use crate::decide::state::SeenCell;
use crate::defect;
use crate::metrics::{self, Step};
use crate::store::Kept;
use crate::store::etcd::Unchanged;

/// How often an election without a result is held again. Every round is an epoch of its own,
/// because a voter votes once per epoch.
const ROUND: Duration = Duration::from_secs(1);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Won {
        winner: RegionId,
        epoch: Epoch,
    },
    /// Another control plane, or an agent, changed the cell first.
    Overtaken,
    /// Nothing was changed, because the election would have come to nothing.
    Unwilling {
        why: String,
    },
}

/// Why an election is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub reason: String,
    /// What began it; nothing where one that began earlier goes on.
    pub cause: Option<Cause>,
}

/// Takes a cell over from its active site, if its voters would elect a successor.
pub async fn take_over(
    hands: &Hands,
    cell: &CellId,
    seen: &SeenCell,
    why: &Why,
    preferred: Option<&RegionId>,
) -> Outcome {
    let begun = Instant::now();
    // A planned move that got stuck has already interrupted the cell: it can only go on.
    let is_stuck = matches!(seen.routed.activation.phase, Phase::Switching { .. });
    let asked =
        if is_stuck { Ok(()) } else { voters_would(hands, cell, seen, Duration::ZERO).await };
    match asked {
        Ok(()) => take_over_willing(hands, cell, seen, why, preferred, begun).await,
        Err(refused) => Outcome::Unwilling { why: refused },
    }
}

/// The same, once the voters have said that they would; it was due since `begun`.
pub async fn take_over_willing(
    hands: &Hands,
    cell: &CellId,
    seen: &SeenCell,
    why: &Why,
    preferred: Option<&RegionId>,
    begun: Instant,
) -> Outcome {
    metrics::took(Step::Detect, begun.saturating_duration_since(silent_since(seen)));
    metrics::took(Step::Decide, begun.elapsed());
    elect(hands, cell, seen, why, preferred).await
}

/// Asks whether the voters would elect a successor so much later. Returns why not.
pub async fn voters_would(
    hands: &Hands,
    cell: &CellId,
    seen: &SeenCell,
    ahead: Duration,
) -> Result<(), String> {
    let activation = &seen.routed.activation;
    // A site that still serves is served by its voters' promises: they decide, not its word.
    let holder = activation.holder().filter(|holder| !hands.says_it_serves(cell, holder));
    let predecessor = predecessor(hands, cell, holder);
    would_suffice(&hands.agents, cell, activation, predecessor, ahead).await
}

/// Ends the old right under the next epoch, and drives the election until somebody has won.
pub async fn elect(
    hands: &Hands,
    cell: &CellId,
    seen: &SeenCell,
    why: &Why,
    preferred: Option<&RegionId>,
) -> Outcome {
    let begun = Instant::now();
    let Why { reason, cause } = why;
    let next = seen.routed.activation.elect(reason);
    let next = cause.iter().cloned().fold(next, Activation::because);
    // With the lease compared too, a renewal that came first makes this write fail, and this write
    // makes every later renewal fail (I3).
    let unchanged = Unchanged { cell: seen.revision, lease: Some(seen.lease_revision()) };
    let Some(kept) = hands.replace(cell, &seen.routed, next, unchanged).await else {
        return Outcome::Overtaken;
    };
    hands.failpoint.reached("electing").await;
    info!(%cell, epoch = %kept.value.activation.epoch, reason, "electing");
    let over_at = right_over_at(seen, &hands.policy, begun);
    drive(hands, cell, kept, preferred, over_at, begun).await
}

/// Begins an election above every epoch seen, in the place of a record that etcd has gone back to.
pub async fn restore(hands: &Hands, cell: &CellId, seen: &SeenCell, why: &Why) -> Outcome {
    let Some(older) = &seen.older else { return Outcome::Overtaken };
    let seen = SeenCell { revision: older.revision, ..seen.clone() };
    elect(hands, cell, &seen, why, None).await
}

/// Holds rounds of votes until somebody has won, or somebody else took the election over. No right
/// may begin before `over_at`, unless the predecessor itself says that it has stopped (I3): by a vote, or before, by
/// asking for the election.
pub async fn drive(
    hands: &Hands,
    cell: &CellId,
    mut electing: Kept<RoutedCell>,
    preferred: Option<&RegionId>,
    over_at: Instant,
    begun: Instant,
) -> Outcome {
    let mut told = false;
    loop {
        let round = Instant::now();
        let activation = &electing.value.activation;
        let lost = lost(activation);
        let asked = predecessor(hands, cell, lost);
        let drained = hands.state.borrow().intent().drained().clone();
        let order = Order { regions: &hands.policy.regions, drained: &drained };
        let suffice = |votes: &_| choose(activation, votes, order, preferred).is_some();
        let patience = Patience { latecomers: LATECOMERS, after_lsn: None };
        let ballot = collect(&hands.agents, cell, activation, asked, suffice, patience).await;
        if let Some(winner) = choose(activation, &ballot.votes, order, preferred) {
            if !lost.is_some_and(|lost| ballot.votes.contains_key(lost)) {
                sleep_until(over_at).await;
            }
            metrics::took(Step::Fence, begun.elapsed());
            let winner = defect::instead_of(winner, &ballot);
            return promote(hands, cell, &electing, winner, &ballot).await;
        }
        if !std::mem::replace(&mut told, true) {
            let epoch = activation.epoch;
            let (votes, refusals) = (votes(&ballot), refusals(&ballot));
            warn!(%cell, %epoch, votes, refusals, "too few votes, electing until there are");
            let why = format!("too few votes: {votes}; {refusals}");
            hands.tell(Fact::Frozen { cell: cell.clone(), why }).await;
        }
        sleep_until(round + ROUND).await;
        let next = activation.elect(&activation.reason);
        let unchanged = Unchanged { cell: electing.revision, lease: None };
        match hands.replace(cell, &electing.value, next, unchanged).await {
            Some(kept) => electing = kept,
            None => return Outcome::Overtaken,
        }
    }
}

async fn promote(
    hands: &Hands,
    cell: &CellId,
    electing: &Kept<RoutedCell>,
    winner: &RegionId,
    ballot: &Ballot,
) -> Outcome {
    let begun = Instant::now();
    let activation = &electing.value.activation;
    let reason = format!("{}; {winner} is the furthest of {}", activation.reason, votes(ballot));
    let next = activation.promote(winner, ballot.votes[winner].place(), &reason);
    let epoch = next.epoch;
    let unchanged = Unchanged { cell: electing.revision, lease: None };
    match hands.replace(cell, &electing.value, next, unchanged).await {
        Some(_) => {
            hands.failpoint.reached("promoted").await;
            info!(%cell, %epoch, region = %winner, reason, "promoting");
            metrics::took(Step::Publish, begun.elapsed());
            Outcome::Won { winner: winner.clone(), epoch }
        }
        None => Outcome::Overtaken,
    }
}

pub(super) fn lost(activation: &Activation) -> Option<&RegionId> {
    match &activation.phase {
        Phase::Electing { predecessor } => predecessor.as_ref(),
        Phase::Steady { .. } | Phase::Switching { .. } | Phase::Promoting { .. } => None,
    }
}

fn predecessor<'a>(hands: &Hands, cell: &CellId, lost: Option<&'a RegionId>) -> Predecessor<'a> {
    match lost {
        Some(region) if hands.is_reachable(cell, region) => Predecessor::Reachable(region),
        Some(region) => Predecessor::Unreachable(region),
        None => Predecessor::Unasked,
    }
}

pub(super) fn votes(ballot: &Ballot) -> String {
    let votes = ballot
        .votes
        .iter()
        .map(|(region, vote)| format!("{region} {}/{}", vote.timeline, vote.lsn));
    votes.collect::<Vec<_>>().join(", ")
}

fn refusals(ballot: &Ballot) -> String {
    let refusals = ballot.refusals.iter().map(|(region, why)| format!("{region}: {why}"));
    refusals.collect::<Vec<_>>().join("; ")
}
