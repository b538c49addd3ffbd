//! A planned move, step by step: `control_plane::tasks::switch`.

use std::collections::BTreeMap;

use control_plane::decide::choose::Vote;
use control_plane::decide::state::SeenCell;
use control_plane::decide::switchover::{End, has_everything};
use control_plane::store::Kept;
use topology::RegionId;
use topology::snapshot::RoutedCell;
use topology::wire::agent::HandOverReply;

use super::controller::Hands;
use super::elect::{NEAR_ONES, Outcome, Predecessor, collect, drive};
use super::etcd::Expected;

pub struct Move {
    pub seen: SeenCell,
    pub from: RegionId,
    pub to: RegionId,
}

/// Moves the cell; whatever goes wrong after the announcement ends in an election.
pub async fn switch(hands: &Hands, planned: &Move) -> Outcome {
    let Move { seen, from, to } = planned;
    let reason = format!("planned move from {from} to {to}, in {}", hands.policy().vantage);
    let expected = Expected { cell: seen.revision, lease: None };
    let switching = match seen.routed.activation.switch(to, &reason) {
        Some(next) => hands.replace(&seen.routed, next, expected).await,
        None => None,
    };
    let Some(switching) = switching else { return Outcome::Overtaken };
    let is_over = match hand_over(hands, planned, &switching).await {
        Ok(()) => return Outcome::Won,
        Err(is_over) => is_over,
    };
    let next = switching.value.activation.elect(&format!("{reason}, aborted"));
    let expected = Expected { cell: switching.revision, lease: None };
    let Some(electing) = hands.replace(&switching.value, next, expected).await else {
        return Outcome::Overtaken;
    };
    let now = hands.now();
    let over_at = if is_over { now } else { now + hands.policy().lease.patience };
    drive(hands, electing, over_at).await
}

/// From the announcement to the target's promotion. Otherwise returns whether the old active site
/// said that its right is over.
async fn hand_over(
    hands: &Hands,
    planned: &Move,
    switching: &Kept<RoutedCell>,
) -> Result<(), bool> {
    let Move { from, to, .. } = planned;
    let activation = &switching.value.activation;
    let sim = &hands.proc.sim;
    let reply = sim.ask_hand_over(&hands.proc, sim.index(from), activation.epoch).await;
    let end = match reply {
        HandOverReply::Stopped { timeline, checkpoint } => End::clean(timeline, checkpoint),
        HandOverReply::Abandoned { timeline, flushed } => End::flushed(timeline, flushed),
        HandOverReply::Ended { .. } => return Err(true),
        HandOverReply::Prepared | HandOverReply::Refused { .. } => return Err(false),
    };
    let arrived = |vote: &Vote| has_everything(vote, activation.system, end);
    let suffice = |votes: &BTreeMap<RegionId, Vote>| votes.get(to).is_some_and(arrived);
    let patience = (NEAR_ONES, Some(end.lsn));
    let votes = collect(hands, activation, Predecessor::Unasked, suffice, patience).await;
    let Some(vote) = votes.get(to).filter(|vote| arrived(vote)) else { return Err(true) };
    let next = activation.promote(to, vote.place(), &activation.reason);
    sim.check_elected(next.epoch, true);
    let expected = Expected { cell: switching.revision, lease: None };
    let promoting = hands.replace(&switching.value, next, expected).await;
    promoting.map(|_| ()).ok_or(true)
}
