//! Whether a failover that a person asks for may begin.

pub mod outlook;

use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::{CellId, Epoch, Phase, RegionId};

use super::failover::right_over_at;
use super::state::SeenCell;
use super::{Policy, State, switchover, went_back};

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub cell: CellId,
    /// Who is wanted; whoever is furthest without one.
    pub to: Option<RegionId>,
    /// Whether acknowledged writes may be given up.
    pub accept_data_loss: bool,
}

/// Why nothing is begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no cell {0}")]
    UnknownCell(CellId),
    #[error("{0} is not among the cell's sites that vote")]
    NotAVoter(RegionId),
    #[error("the cell has no site in {0}")]
    NotASite(RegionId),
    #[error("the cell's first database is still being made")]
    NoDatabase,
    #[error("{0} answers and has a right to serve: move the cell by plan, with switchover")]
    ActiveServes(RegionId),
    #[error("the cell is {0}: its voters are being asked already")]
    Electing(String),
    #[error("etcd has gone back to an older record of the cell, which cannot be decided by")]
    Outdated,
    #[error("the agent in {0} does not answer")]
    TargetUnreachable(RegionId),
    #[error("{0} is drained")]
    TargetDrained(RegionId),
    #[error("{who} is {bytes} bytes further than {to}; leave `to` out to promote the furthest")]
    Behind { to: RegionId, who: RegionId, bytes: u64 },
}

/// Returns the cell as it may be taken over, or why not.
pub fn check<'a>(
    state: &'a State,
    policy: &Policy,
    asked: &Asked,
    now: Instant,
) -> Result<&'a SeenCell, Refusal> {
    let unknown = || Refusal::UnknownCell(asked.cell.clone());
    let seen = state.cells().get(&asked.cell).ok_or_else(unknown)?;
    let activation = &seen.routed.activation;
    if activation.system.is_none() {
        return Err(Refusal::NoDatabase);
    }
    if let Some(active) = serving(seen, state, policy, asked, now) {
        return Err(Refusal::ActiveServes(active.clone()));
    }
    if let Some(to) = &asked.to {
        if !seen.routed.gateways.contains_key(to) {
            return Err(Refusal::NotASite(to.clone()));
        }
        if state.intent().drained().contains(to) {
            return Err(Refusal::TargetDrained(to.clone()));
        }
        if !state.site(&asked.cell, to).is_reachable() {
            return Err(Refusal::TargetUnreachable(to.clone()));
        }
    }
    if asked.accept_data_loss {
        return Ok(seen);
    }
    if went_back::is_outdated(seen) {
        return Err(Refusal::Outdated);
    }
    if matches!(activation.phase, Phase::Electing { .. }) {
        return Err(Refusal::Electing(activation.phase.to_string()));
    }
    match &asked.to {
        Some(to) if !activation.voters.contains(to) || activation.retired.contains(to) => {
            Err(Refusal::NotAVoter(to.clone()))
        }
        Some(to) => may_win(state, asked, seen, to).map(|()| seen),
        None => Ok(seen),
    }
}

/// Refuses what was planned under another epoch. Each round of an election has one of its own, and who ends
/// it by accepting data loss has looked at one of them: nobody has served since.
pub fn still(
    state: &State,
    asked: &Asked,
    planned: Option<Epoch>,
) -> Result<(), switchover::Refusal> {
    let seen = state.cells().get(&asked.cell);
    let rounds = seen.and_then(|seen| Some(seen.electing_from?..=seen.routed.activation.epoch));
    match rounds.zip(planned) {
        Some((rounds, planned)) if asked.accept_data_loss && rounds.contains(&planned) => Ok(()),
        Some(_) | None => switchover::still(state, &asked.cell, planned),
    }
}

/// Returns a site that answers and may be in its right: the holder, as long as the last renewal may
/// count, or whoever says that it serves, by its voters' promises or under an epoch that is not known
/// here.
fn serving<'a>(
    seen: &'a SeenCell,
    state: &State,
    policy: &Policy,
    asked: &Asked,
    now: Instant,
) -> Option<&'a RegionId> {
    let holder = seen.routed.activation.holder();
    seen.routed.gateways.keys().find(|region| {
        let site = state.site(&asked.cell, region);
        let says_so = site.report().is_some_and(|report| match report.tenure {
            TenureName::Serving | TenureName::Draining => true,
            TenureName::Standby | TenureName::Fenced => false,
        });
        let renewed = holder == Some(*region) && now < right_over_at(seen, policy, now);
        site.is_reachable() && (says_so || renewed)
    })
}

/// Compares what the voters that answer say of themselves: refused before anything is touched. What
/// counts are their frozen votes, which are compared again.
fn may_win(state: &State, asked: &Asked, seen: &SeenCell, to: &RegionId) -> Result<(), Refusal> {
    let position = |region: &RegionId| {
        let site = state.site(&asked.cell, region);
        let report = site.report().filter(|_| site.is_reachable())?;
        Some((report.timeline, report.lsn))
    };
    let own = position(to).unwrap_or_default();
    let others = seen.routed.activation.voters.iter().filter(|voter| *voter != to);
    let best = others.filter_map(|voter| Some((position(voter)?, voter))).max();
    match best {
        Some((best, who)) if best > own => {
            let bytes = best.1.saturating_sub(own.1);
            Err(Refusal::Behind { to: to.clone(), who: who.clone(), bytes })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
