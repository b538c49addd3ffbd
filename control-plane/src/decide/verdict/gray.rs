//! A site that is alive and of little use is handed over to a better one, if there is one and nothing
//! speaks against moving the cell. Otherwise a person is told.

use std::time::Duration;

use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::{CellId, RegionId};

use super::matrix::{Matrix, site};
use super::{Judgement, Verdict, World, widespread};
use crate::decide::automatic::{Held, is_settled, may_move};
use crate::decide::failover::rank;
use crate::decide::state::SeenCell;
use crate::decide::{Action, Policy, State};

/// How long each rank waits for the one before it: a hand-over is prepared before it is announced.
const RANK: Duration = Duration::from_secs(2);
/// How far behind a successor may be, as the active site said while its database answered.
const LAG_MAX: u64 = 1024 * 1024;

/// What is left at a site that a cell with a full disk is moved to: what filled the one comes along, and the
/// cell stays there for a while.
const ROOM_MIN: u64 = 64 * 1024 * 1024;

/// How well a standby would do. Lower is better; compared field by field, top to bottom, so the order
/// of the fields is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    does_not_stream: bool,
    lag_bytes: u64,
    rank: usize,
}

/// Returns the moves that would help, each for a cell that is gray.
#[must_use]
pub fn decide(state: &State, policy: &Policy, matrix: &Matrix<'_>, now: Instant) -> Vec<Action> {
    let world = World { state, policy, now };
    let moves = state.cells().iter().filter_map(|(cell, seen)| {
        // First what is quickly said: this is asked again and again, and nearly all cells are well.
        let active = seen.routed.activation.serving().filter(|_| is_settled(seen, now))?;
        if !state.is_doubted(&site(cell, active), now) {
            return None;
        }
        let judgement = super::judge(cell, seen, matrix, world);
        let from = judgement.active.clone().filter(|_| judgement.verdict == Verdict::Gray)?;
        let turn = RANK * u32::try_from(rank(policy, Some(&from))).unwrap_or(u32::MAX);
        let patience = judgement.patience + turn;
        let since = judgement.since.filter(|since| now - *since >= patience)?;
        let to = target(cell, seen, &from, since, matrix, world).ok()?;
        let reason = format!("gray failure of {from}: {judgement}, seen from {}", policy.vantage);
        let epoch = seen.routed.activation.epoch;
        Some(Action::Relieve { cell: cell.clone(), epoch, from, to, reason })
    });
    moves.collect()
}

/// Returns why a gray cell is not moved, if it is not.
#[must_use]
pub fn held(
    cell: &CellId,
    seen: &SeenCell,
    judgement: &Judgement,
    matrix: &Matrix<'_>,
    world: World<'_>,
) -> Option<Held> {
    let (from, since) = judgement.active.as_ref().zip(judgement.since)?;
    let is_gray = judgement.verdict == Verdict::Gray;
    is_gray.then(|| target(cell, seen, from, since, matrix, world).err()).flatten()
}

/// Returns where the cell is better off, or why it stays.
fn target(
    cell: &CellId,
    seen: &SeenCell,
    from: &RegionId,
    since: Instant,
    matrix: &Matrix<'_>,
    world: World<'_>,
) -> Result<RegionId, Held> {
    may_move(seen, matrix, world.policy, world.now)?;
    let regions = widespread(&site(cell, from), since, matrix, world.state);
    if !regions.is_empty() {
        return Err(Held::Widespread(regions.iter().map(ToString::to_string).collect()));
    }
    let mut better = Vec::new();
    let mut worse = Vec::new();
    for voter in &seen.routed.activation.voters {
        match score(cell, from, voter, matrix, world) {
            Ok(score) => better.push((score, voter)),
            Err(why) => worse.push(format!("{voter} {why}")),
        }
    }
    match better.into_iter().min() {
        Some((_, voter)) => Ok(voter.clone()),
        None => Err(Held::NoBetterSite(worse.join(", "))),
    }
}

fn score(
    cell: &CellId,
    from: &RegionId,
    voter: &RegionId,
    matrix: &Matrix<'_>,
    world: World<'_>,
) -> Result<Score, String> {
    let World { state, policy, now } = world;
    if let Some(agreed) = matrix.agreed(cell, voter) {
        return Err(format!("is {} itself", agreed.health.name()));
    }
    let seen = state.cells().get(cell);
    if seen.is_some_and(|seen| seen.routed.activation.retired.contains(voter)) {
        return Err("is kept out".to_owned());
    }
    if state.intent().drained().contains(voter) {
        return Err("is drained".to_owned());
    }
    let (active, standby) = (state.site(cell, from), state.site(cell, voter));
    if standby.flapping_since(now).is_some() {
        return Err("comes and goes".to_owned());
    }
    let Some(report) = standby.report().filter(|_| standby.is_reachable()) else {
        return Err("does not answer".to_owned());
    };
    if report.tenure != TenureName::Standby {
        return Err("is no standby".to_owned());
    }
    let needed = if state.site(cell, from).full_since().is_some() { ROOM_MIN } else { 0 };
    if let Some(room) = report.room.filter(|room| room.full || room.left_bytes < needed) {
        return Err(format!("has {} MB left to write in", room.left_bytes / 1024 / 1024));
    }
    let does_not_stream = match report.postgres.as_str() {
        "standby" => false,
        // What it streams from may be what is ill.
        "waiting" => true,
        other => return Err(format!("is no standby: PostgreSQL is {other}")),
    };
    match active.last_lags().get(voter.as_str()) {
        None => Err("did not stream from the active site".to_owned()),
        Some(lag) if *lag > LAG_MAX => Err(format!("is {lag} bytes behind")),
        Some(lag) => Ok(Score { does_not_stream, lag_bytes: *lag, rank: policy.rank(voter) }),
    }
}
