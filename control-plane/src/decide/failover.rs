//! Decides when a cell's active site is lost.
//!
//! ```text
//!  last renewal seen            patience                      patience + 4 s
//!        │                          │                               │
//!        ├── lease silent ──────────┼───────────────────────────────┤
//!                                   └▶ take over, if most            └▶ take over, though the
//!                                      vantages get no answer            site answers probes
//! ```
//!
//! Times are this observer's own, from when it saw the last renewal (I3). Which site takes over is
//! not decided here: the voters are asked, and [`choose`](super::choose) compares their votes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use topology::{Activation, Cause, CellId, Failure, Phase, RegionId};

use super::state::SeenCell;
use super::verdict::matrix::{Agreed, Matrix};
use super::verdict::{AT_ONCE, World};
use super::{Action, Policy, State, went_back};

/// How much longer than patience a silent lease is borne while the site answers: etcd may have had a
/// hiccup, and a healthy cell must not move for that.
const HICCUP: Duration = Duration::from_secs(4);
/// How much longer a promoted site that answers may take for its lease: it replays and opens.
const OPENING: Duration = Duration::from_secs(8);
/// How much longer a site gets that has not yet answered this observer at all: when everything is
/// being started, agents come later than control planes.
const STARTING: Duration = Duration::from_secs(8);
/// How long a planned move may take before whoever drives it counts as gone.
const SWITCHING: Duration = Duration::from_secs(3);
/// How long the first in rank leaves an election to whoever began it. Longer than votes usually take
/// (0.2 s measured). A site that has given its right up drives nothing: it is not waited for.
const BEGUN_BY_OTHERS: Duration = Duration::from_millis(500);
/// How long each rank waits for the one before it.
const RANK: Duration = Duration::from_millis(150);

/// Returns what to do about cells whose active site is lost; none when all are well.
#[must_use]
pub fn decide(state: &State, policy: &Policy, matrix: &Matrix<'_>, now: Instant) -> Vec<Action> {
    let actions: Vec<Action> = state
        .cells()
        .iter()
        .filter_map(|(cell, seen)| judge(cell, seen, matrix, state, policy, now))
        .collect();
    if actions.is_empty() {
        return actions;
    }
    let suspects = suspects(state, matrix);
    actions.into_iter().map(|action| freeze_if_widespread(action, matrix, &suspects)).collect()
}

fn judge(
    cell: &CellId,
    seen: &SeenCell,
    matrix: &Matrix<'_>,
    state: &State,
    policy: &Policy,
    now: Instant,
) -> Option<Action> {
    let activation = &seen.routed.activation;
    let epoch = activation.epoch;
    if went_back::is_outdated(seen) {
        return went_back::judge(cell, seen, state, policy, now);
    }
    match &activation.phase {
        Phase::Electing { predecessor } => {
            let rank = rank(policy, predecessor.as_ref());
            if rank == 0 && is_asked_for(seen) {
                let reason = activation.reason.clone();
                return Some(Action::PickUp { cell: cell.clone(), epoch, reason });
            }
            let wait = if rank == 0 { BEGUN_BY_OTHERS } else { policy.lease.patience };
            let unchanged = now - seen.since;
            (unchanged >= wait + delay(rank)).then(|| {
                let reason = format!(
                    "nobody has driven it for {}, seen from {}",
                    seconds(unchanged),
                    policy.vantage
                );
                Action::PickUp { cell: cell.clone(), epoch, reason }
            })
        }
        // The first database is still being made: there is nothing to take over, and nobody to ask.
        Phase::Steady { .. } | Phase::Switching { .. } | Phase::Promoting { .. }
            if activation.system.is_none() =>
        {
            None
        }
        Phase::Steady { active }
        | Phase::Switching { active, .. }
        | Phase::Promoting { active } => {
            let evidence = lost(cell, seen, active, matrix, World { state, policy, now })?;
            let reason = format!("{active} lost: {evidence}, seen from {}", policy.vantage);
            Some(Action::TakeOver { cell: cell.clone(), epoch, from: active.clone(), reason })
        }
    }
}

/// Whether the site itself has asked for the election, and nobody drives it yet: another one begun since has the
/// same cause.
fn is_asked_for(seen: &SeenCell) -> bool {
    seen.electing_from == Some(seen.routed.activation.epoch) && is_given_up(seen)
}

/// Whether the last holder has asked for an election itself: that its database has ended and its gateway
/// answers nothing any more is written with it. Whoever takes a cell from a holder names another cause.
fn is_given_up(seen: &SeenCell) -> bool {
    let Activation { phase, cause, .. } = &seen.routed.activation;
    matches!(phase, Phase::Electing { .. }) && *cause == Some(Cause::failure(Failure::GaveUp))
}

/// Returns the evidence that the active site's right is over and will not come back, if it is.
fn lost(
    cell: &CellId,
    seen: &SeenCell,
    active: &RegionId,
    matrix: &Matrix<'_>,
    world: World<'_>,
) -> Option<String> {
    let World { state, policy, now } = world;
    let delay = delay(rank(policy, Some(active)));
    let phase = &seen.routed.activation.phase;
    if matches!(phase, Phase::Switching { .. }) && now - seen.since >= SWITCHING + delay {
        return Some(format!("planned move without progress for {}", seconds(now - seen.since)));
    }
    let silent_since = silent_since(seen);
    if now.saturating_duration_since(silent_since) < policy.lease.patience {
        return None;
    }
    let site = state.site(cell, active);
    let unreachable = matrix.unreachable(cell, active);
    let (heard_since, wait) = match unreachable {
        Some(_) if site.was_heard() => (silent_since, policy.lease.patience),
        Some(_) => (silent_since, policy.lease.patience + STARTING),
        None => {
            let extra = if matches!(phase, Phase::Promoting { .. }) { OPENING } else { HICCUP };
            // While etcd could not be read, nothing could be heard either.
            let unbroken = state.unbroken_since().unwrap_or(now);
            (silent_since.max(unbroken), policy.lease.patience + extra)
        }
    };
    (now - heard_since >= wait + delay).then(|| {
        format!("lease silent for {}, {}", seconds(now - silent_since), probes(unreachable, now))
    })
}

/// Returns since when the holder of this epoch has not been heard. Before its first renewal that
/// counts from when the epoch was first seen.
#[must_use]
pub fn silent_since(seen: &SeenCell) -> Instant {
    let activation = &seen.routed.activation;
    // A planned move begins a new epoch before the old holder has stopped renewing.
    let switching = matches!(activation.phase, Phase::Switching { .. });
    match &seen.lease {
        Some(seen_lease)
            if Some(&seen_lease.lease.holder) == activation.holder()
                && (seen_lease.lease.epoch == activation.epoch || switching) =>
        {
            seen_lease.since
        }
        Some(_) | None => seen.since,
    }
}

/// Returns when whatever right the last renewal gave is over, as far as this observer can tell (I3), and
/// that of a holder who has not renewed yet: it counts from their vote, which came before their record. The
/// last holder's may last when the next election has begun.
/// Without any of them nobody has a right, nor has a holder who has said so. That counts where this observer has
/// seen the holder before it, and nothing later since: etcd may have gone back to when somebody said so.
#[must_use]
pub fn right_over_at(seen: &SeenCell, policy: &Policy, now: Instant) -> Instant {
    let is_newest = seen.older.is_none() && seen.ahead_since.is_none();
    if seen.held.is_some() && is_newest && is_given_up(seen) {
        return now;
    }
    let renewed = seen.lease.as_ref().map(|lease| lease.since);
    let held = seen.routed.activation.holder().map(|_| silent_since(seen));
    renewed.max(held).max(seen.held).map_or(now, |since| since + policy.lease.patience)
}

/// Since when active sites do not answer, by region.
type Suspects<'a> = BTreeMap<&'a RegionId, BTreeSet<Instant>>;

fn suspects<'a>(state: &'a State, matrix: &Matrix<'_>) -> Suspects<'a> {
    let mut suspects = Suspects::new();
    for (cell, seen) in state.cells() {
        let Some(active) = seen.routed.activation.holder() else { continue };
        if let Some(Agreed { since, .. }) = matrix.unreachable(cell, active) {
            suspects.entry(active).or_default().insert(since);
        }
    }
    suspects
}

/// Replaces a take-over of a silent site by a freeze if active sites of other regions fell silent at
/// the same time. One region's loss explains every bad site in it, and nothing else.
fn freeze_if_widespread(action: Action, matrix: &Matrix<'_>, suspects: &Suspects<'_>) -> Action {
    let Action::TakeOver { cell, epoch, from, .. } = &action else { return action };
    let Some(Agreed { since, .. }) = matrix.unreachable(cell, from) else { return action };
    // Of those that are not too late, the last one is too early, or none is.
    let at_once = |others: &BTreeSet<Instant>| {
        let last = others.range(..=since + AT_ONCE).next_back();
        last.is_some_and(|other| since.saturating_duration_since(*other) <= AT_ONCE)
    };
    let regions: Vec<&str> = suspects
        .iter()
        .filter(|(_, others)| at_once(others))
        .map(|(region, _)| region.as_str())
        .collect();
    if regions.len() < 2 {
        return action;
    }
    let reason = format!("{} look lost", regions.join(" and "));
    Action::Freeze { cell: cell.clone(), epoch: *epoch, reason }
}

/// Returns this observer's turn among the regions that are not suspect; the suspect one comes last.
pub(crate) fn rank(policy: &Policy, suspect: Option<&RegionId>) -> usize {
    let mut others = policy.regions.iter().filter(|region| Some(*region) != suspect);
    others.position(|region| *region == policy.vantage).unwrap_or(policy.regions.len() - 1)
}

pub(crate) fn delay(rank: usize) -> Duration {
    RANK * u32::try_from(rank).unwrap_or(u32::MAX)
}

fn probes(unreachable: Option<Agreed>, now: Instant) -> String {
    match unreachable {
        Some(Agreed { since, by, of, .. }) if of > 1 => {
            format!("agent unreachable for {}, for {by} of {of} vantages", seconds(now - since))
        }
        Some(Agreed { since, .. }) => format!("agent unreachable for {}", seconds(now - since)),
        None => "agent reachable".to_owned(),
    }
}

pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests;
