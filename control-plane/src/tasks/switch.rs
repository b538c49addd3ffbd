//! Carries out a planned move: announce, hand over, freeze the votes, write the new active site.
//!
//! Whatever goes wrong after the announcement ends in an election: the cell is already interrupted,
//! and an election finds its way from any state. The site that has stopped may win it again.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::agent::HandOverReply;
use topology::{Cause, CellId, Epoch, RegionId};
use tracing::{info, warn};

use super::elect::{Outcome, drive};
use super::hands::Hands;
use super::vote::{NEAR_ONES, Patience, Predecessor, collect};
use crate::decide::choose::Vote;
use crate::decide::state::SeenCell;
use crate::decide::switchover::{End, Refusal, has_everything};
use crate::store::Kept;
use crate::store::etcd::Unchanged;

/// A planned move that somebody asks for.
pub struct Switchover {
    pub cell: CellId,
    pub to: RegionId,
    /// The epoch it was planned under: under another it is refused.
    pub planned: Option<Epoch>,
    /// The operation that it is a step of.
    pub cause: Cause,
    /// Answered once the target is being promoted, or as soon as it is known that it will not be.
    pub reply: oneshot::Sender<Result<Handed, Undone>>,
}

/// The target is being promoted under this epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    pub from: RegionId,
    pub epoch: Epoch,
    /// Since when nobody serves.
    pub announced: Instant,
}

/// Why the target was not promoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("somebody else changed the cell first")]
    Overtaken,
    /// The cell was interrupted, and elects whoever has everything.
    #[error("{0}; the cell elects its active site now")]
    Aborted(String),
}

/// A move that may begin.
pub struct Move {
    pub cell: CellId,
    pub seen: SeenCell,
    pub from: RegionId,
    pub to: RegionId,
    /// Why, for people: it goes into the cell's record.
    pub reason: String,
    pub cause: Cause,
}

/// What the hand-over left behind.
struct Stopped {
    why: String,
    /// The old active site said that its right is over: nothing more is acknowledged there.
    is_over: bool,
}

/// Moves the cell and answers who asked.
pub async fn switch(
    hands: &Hands,
    planned: &Move,
    reply: oneshot::Sender<Result<Handed, Undone>>,
) -> Outcome {
    let Move { cell, seen, from, to, reason, cause } = planned;
    let begun = Instant::now();
    hands.agents.prepare_hand_over(cell, from, seen.routed.activation.epoch).await;
    let next = seen.routed.activation.switch(to, reason);
    let unchanged = Unchanged { cell: seen.revision, lease: None };
    let switching = match next {
        Some(next) => {
            hands.replace(cell, &seen.routed, next.because(cause.clone()), unchanged).await
        }
        None => None,
    };
    let Some(switching) = switching else {
        answer(reply, Err(Undone::Overtaken));
        return Outcome::Overtaken;
    };
    let announced = Instant::now();
    hands.failpoint.reached("announced").await;
    info!(%cell, epoch = %switching.value.activation.epoch, reason, "switching");
    let stopped = match hand_over(hands, planned, &switching).await {
        Ok(promoting) => {
            let epoch = promoting.value.activation.epoch;
            info!(%cell, %epoch, region = %to, elapsed = ?begun.elapsed(), "promoting");
            answer(reply, Ok(Handed { from: from.clone(), epoch, announced }));
            return Outcome::Won { winner: to.clone(), epoch };
        }
        Err(stopped) => stopped,
    };
    let epoch = switching.value.activation.epoch;
    warn!(%cell, %epoch, why = stopped.why, "planned move aborted, electing");
    answer(reply, Err(Undone::Aborted(stopped.why.clone())));
    let next = switching.value.activation.elect(&format!("{reason}, aborted: {}", stopped.why));
    let unchanged = Unchanged { cell: switching.revision, lease: None };
    let Some(electing) = hands.replace(cell, &switching.value, next, unchanged).await else {
        return Outcome::Overtaken;
    };
    // No renewal can have succeeded after this write, so the last one counts from before now.
    let now = Instant::now();
    let over_at = if stopped.is_over { now } else { now + hands.policy.lease.patience };
    drive(hands, cell, electing, Some(to), over_at, now).await
}

/// From the announcement to the target's promotion.
async fn hand_over(
    hands: &Hands,
    planned: &Move,
    switching: &Kept<RoutedCell>,
) -> Result<Kept<RoutedCell>, Stopped> {
    let Move { cell, from, to, .. } = planned;
    let activation = &switching.value.activation;
    let end = match hands.agents.hand_over(cell, from, activation.epoch).await {
        HandOverReply::Stopped { timeline, checkpoint } => End::clean(timeline, checkpoint),
        HandOverReply::Abandoned { timeline, flushed } => {
            info!(%cell, epoch = %activation.epoch, flushed, "left without a clean stop");
            End::flushed(timeline, flushed)
        }
        HandOverReply::Prepared => {
            return Err(Stopped { why: format!("{from} only prepared"), is_over: false });
        }
        HandOverReply::Ended { reason } => {
            let why = format!("{from} ended without handing over: {reason}");
            return Err(Stopped { why, is_over: true });
        }
        HandOverReply::Refused { reason } => {
            let why = format!("{from} did not hand over: {reason}");
            return Err(Stopped { why, is_over: false });
        }
    };
    // The target's data is enough, as the old active site writes nothing more; the other voters are asked to
    // freeze with it, which those that are near have done by then.
    hands.failpoint.reached("stopped").await;
    let arrived = |vote: &Vote| has_everything(vote, activation.system, end);
    let suffice = |votes: &BTreeMap<RegionId, Vote>| votes.get(to).is_some_and(arrived);
    let asked = Predecessor::Unasked;
    let patience = Patience { latecomers: NEAR_ONES, after_lsn: Some(end.lsn) };
    let ballot = collect(&hands.agents, cell, activation, asked, suffice, patience).await;
    let why = match ballot.votes.get(to) {
        Some(vote) if arrived(vote) => {
            let next = activation.promote(to, vote.place(), &activation.reason);
            let unchanged = Unchanged { cell: switching.revision, lease: None };
            let promoting = hands.replace(cell, &switching.value, next, unchanged).await;
            hands.failpoint.reached("promoted").await;
            return promoting.ok_or_else(|| Stopped {
                why: "somebody else changed the cell meanwhile".to_owned(),
                is_over: true,
            });
        }
        Some(vote) => {
            let Vote { timeline: reached, lsn: came, .. } = vote;
            let End { timeline, lsn } = end;
            format!("{to} came to {reached}/{came} only, what {from} had reaches {timeline}/{lsn}")
        }
        None => {
            let refusal = ballot.refusals.get(to).map_or("no answer", String::as_str);
            format!("{to} did not vote: {refusal}")
        }
    };
    Err(Stopped { why, is_over: true })
}

/// Whoever asked may have gone away; the move goes on.
fn answer(reply: oneshot::Sender<Result<Handed, Undone>>, result: Result<Handed, Undone>) {
    if reply.send(result).is_err() {
        info!("nobody waits for the planned move any more");
    }
}
