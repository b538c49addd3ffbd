//! Whether a planned move may begin, and whether its target may be promoted.

use topology::wire::agent::TenureName;
use topology::{CellId, Epoch, Phase, RegionId};

use super::State;
use super::choose::Vote;

/// How far a target may be behind: what a standby replays in a blink, so that the pause stays short.
const LAG_MAX: u64 = 1024 * 1024;

/// Why a cell is not moved now. Each is a state that a person or a program may want to wait out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no cell {0}")]
    UnknownCell(CellId),
    #[error("the cell is {0}")]
    NotSteady(String),
    #[error("everything is frozen: {0}")]
    Frozen(String),
    #[error("{0} is the active site")]
    AlreadyActive(RegionId),
    #[error("{0} is not among the cell's standbys that vote")]
    NotAStandby(RegionId),
    #[error("{0} is kept out of the cell")]
    KeptOut(RegionId),
    #[error("the agent in {0} does not answer, and could not hand over")]
    ActiveUnreachable(RegionId),
    #[error("the agent in {0} does not answer")]
    TargetUnreachable(RegionId),
    #[error("{region} {why}")]
    TargetLagging { region: RegionId, why: String },
    #[error("it was planned under epoch {planned}, and the cell is in epoch {now}")]
    Stale { planned: Epoch, now: Epoch },
}

/// Returns the active site that would hand over to `target`, or why it is not asked to.
pub fn check(state: &State, cell: &CellId, target: &RegionId) -> Result<RegionId, Refusal> {
    let seen = state.cells().get(cell).ok_or_else(|| Refusal::UnknownCell(cell.clone()))?;
    let activation = &seen.routed.activation;
    let active = match &activation.phase {
        Phase::Steady { active } => active,
        Phase::Switching { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => {
            return Err(Refusal::NotSteady(activation.phase.to_string()));
        }
    };
    if active == target {
        return Err(Refusal::AlreadyActive(target.clone()));
    }
    if activation.retired.contains(target) {
        return Err(Refusal::KeptOut(target.clone()));
    }
    if !activation.voters.contains(target) {
        return Err(Refusal::NotAStandby(target.clone()));
    }
    if !state.site(cell, active).is_reachable() {
        return Err(Refusal::ActiveUnreachable(active.clone()));
    }
    if !state.site(cell, target).is_reachable() {
        return Err(Refusal::TargetUnreachable(target.clone()));
    }
    match fits(state, cell, active, target) {
        Ok(()) => Ok(active.clone()),
        Err(why) => Err(Refusal::TargetLagging { region: target.clone(), why }),
    }
}

/// Refuses what was planned under another epoch: what it was planned from is no more so (I2).
pub fn still(state: &State, cell: &CellId, planned: Option<Epoch>) -> Result<(), Refusal> {
    let now = state.cells().get(cell).map(|seen| seen.routed.activation.epoch);
    match (planned, now) {
        (Some(planned), Some(now)) if planned != now => Err(Refusal::Stale { planned, now }),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// Checks that the target streams, has room and is close.
fn fits(state: &State, cell: &CellId, active: &RegionId, target: &RegionId) -> Result<(), String> {
    let (from, to) = (state.site(cell, active), state.site(cell, target));
    let (Some(from), Some(to)) = (from.report(), to.report()) else {
        return Err("has not reported".to_owned());
    };
    if to.tenure != TenureName::Standby || to.postgres != "standby" {
        return Err(format!("is no streaming standby: PostgreSQL is {}", to.postgres));
    }
    if to.is_full() {
        return Err("has no room to write in".to_owned());
    }
    match from.lag_bytes.get(target.as_str()) {
        None => Err("does not stream from the active site".to_owned()),
        Some(lag) if *lag > LAG_MAX => Err(format!("is {lag} bytes behind, more than {LAG_MAX}")),
        Some(_) => Ok(()),
    }
}

/// Where everything ends that the active site may have acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub timeline: u32,
    /// The least position that has it.
    pub lsn: u64,
}

impl End {
    /// Of a clean shutdown, whose checkpoint ends after where it begins.
    #[must_use]
    pub fn clean(timeline: u32, checkpoint: u64) -> Self {
        Self { timeline, lsn: checkpoint.saturating_add(1) }
    }

    /// Of a site that closed its gate and then had flushed so much.
    #[must_use]
    pub fn flushed(timeline: u32, flushed: u64) -> Self {
        Self { timeline, lsn: flushed }
    }
}

/// Returns whether the target has everything. On another timeline the same position is another history's.
#[must_use]
pub fn has_everything(vote: &Vote, system: Option<u64>, end: End) -> bool {
    system == Some(vote.system) && vote.timeline == end.timeline && vote.lsn >= end.lsn
}

#[cfg(test)]
mod tests;
