//! What an operator would write in the logbook: the difference between what was seen and what is.

use std::collections::BTreeMap;

use tokio::time::Instant;
use topology::{CellId, Epoch, Phase, RegionId, SiteId};

use super::failover::silent_since;
use super::{Policy, State};

/// One entry, without the time: that is the writer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    pub kind: Kind,
    pub cell: CellId,
    pub region: Option<RegionId>,
    pub epoch: Epoch,
    pub reason: String,
    pub evidence: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    LeaseLost,
    Electing,
    Promoting,
    Steady,
    Switching,
    SiteDown,
    SiteUp,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaseLost => "lease-lost",
            Self::Electing => "electing",
            Self::Promoting => "promoting",
            Self::Steady => "steady",
            Self::Switching => "switching",
            Self::SiteDown => "site-down",
            Self::SiteUp => "site-up",
        }
    }
}

/// The little of a state that happenings are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    cells: BTreeMap<CellId, CellSight>,
    /// Whether each site that was ever heard answers.
    sites: BTreeMap<SiteId, bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CellSight {
    epoch: Epoch,
    phase: Phase,
    reason: String,
    /// The holder has missed two renewals in a row.
    is_silent: bool,
}

impl Sight {
    /// Returns what is to be seen now.
    #[must_use]
    pub fn of(state: &State, policy: &Policy, now: Instant) -> Self {
        let cells = state.cells().iter().map(|(cell, seen)| {
            let activation = &seen.routed.activation;
            let sight = CellSight {
                epoch: activation.epoch,
                phase: activation.phase.clone(),
                reason: activation.reason.clone(),
                is_silent: is_silent(cell, state, policy, now),
            };
            (cell.clone(), sight)
        });
        let heard = state.sites().iter().filter(|(_, site)| site.was_heard());
        Self {
            cells: cells.collect(),
            sites: heard.map(|(id, site)| (id.clone(), site.is_reachable())).collect(),
        }
    }

    /// Returns what has happened since `before`, cells first.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Happening> {
        let cells = self.cells.iter().flat_map(|(cell, sight)| {
            let earlier = before.cells.get(cell);
            silence(cell, sight, earlier).into_iter().chain(change(cell, sight, earlier))
        });
        let sites = self.sites.iter().filter_map(|(site, answers)| {
            let epoch = self.cells.get(&site.cell).map_or(Epoch(0), |sight| sight.epoch);
            presence(site, *answers, before.sites.get(site).copied(), epoch)
        });
        cells.chain(sites).collect()
    }
}

/// A lease counts as silent after two missed renewals, in time in which etcd could be read.
fn is_silent(cell: &CellId, state: &State, policy: &Policy, now: Instant) -> bool {
    let Some(seen) = state.cells().get(cell) else { return false };
    let renewed = seen.lease.as_ref().is_some_and(|_| seen.routed.activation.holder().is_some());
    let unbroken = state.unbroken_since().unwrap_or(now);
    let since = silent_since(seen).max(unbroken);
    renewed && state.is_fresh(now) && now - since > policy.lease.renew * 2
}

fn silence(cell: &CellId, sight: &CellSight, earlier: Option<&CellSight>) -> Option<Happening> {
    let was_silent = earlier.is_some_and(|earlier| {
        earlier.is_silent && earlier.epoch == sight.epoch && earlier.phase == sight.phase
    });
    (sight.is_silent && !was_silent).then(|| Happening {
        kind: Kind::LeaseLost,
        cell: cell.clone(),
        region: holder(&sight.phase).cloned(),
        epoch: sight.epoch,
        reason: "the active site does not renew its lease".to_owned(),
        evidence: "two renewals missed".to_owned(),
    })
}

fn change(cell: &CellId, sight: &CellSight, earlier: Option<&CellSight>) -> Option<Happening> {
    let same = |earlier: &CellSight| earlier.epoch == sight.epoch && earlier.phase == sight.phase;
    if earlier.is_some_and(same) {
        return None;
    }
    let kind = match &sight.phase {
        Phase::Steady { .. } => Kind::Steady,
        Phase::Switching { .. } => Kind::Switching,
        Phase::Electing { .. } => Kind::Electing,
        Phase::Promoting { .. } => Kind::Promoting,
    };
    let before = earlier.map_or_else(
        || "first seen".to_owned(),
        |earlier| format!("before: epoch {}, {}", earlier.epoch, earlier.phase),
    );
    Some(Happening {
        kind,
        cell: cell.clone(),
        region: holder(&sight.phase).cloned(),
        epoch: sight.epoch,
        reason: sight.reason.clone(),
        evidence: before,
    })
}

fn presence(
    site: &SiteId,
    answers: bool,
    answered: Option<bool>,
    epoch: Epoch,
) -> Option<Happening> {
    let (kind, reason, evidence) = match (answered, answers) {
        (Some(true) | None, false) => {
            (Kind::SiteDown, "the agent does not answer", "two probes in a row missed")
        }
        (Some(false) | None, true) => (Kind::SiteUp, "the agent answers", "a probe answered"),
        (Some(true), true) | (Some(false), false) => return None,
    };
    Some(Happening {
        kind,
        cell: site.cell.clone(),
        region: Some(site.region.clone()),
        epoch,
        reason: reason.to_owned(),
        evidence: evidence.to_owned(),
    })
}

fn holder(phase: &Phase) -> Option<&RegionId> {
    match phase {
        Phase::Steady { active }
        | Phase::Switching { active, .. }
        | Phase::Promoting { active } => Some(active),
        Phase::Electing { .. } => None,
    }
}

#[cfg(test)]
mod tests;
