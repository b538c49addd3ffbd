//! What an operator would write in the logbook: the difference between what was seen and what is.

pub mod rehearsals;
pub mod wishes;

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use topology::{CellId, Epoch, Phase, RegionId, SiteId};

use super::failover::silent_since;
use super::state::{SeenCell, SeenSite};
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
    /// The cell is left as it is, though its active site is lost: only a person can do more.
    Frozen,
    /// The active site serves, but losing its region would lose writes.
    AtRisk,
    AtRiskOver,
    /// The active site has removed or added a voter under its epoch.
    Voters,
    SiteDown,
    SiteUp,
    /// The active site is alive and of little use.
    Gray,
    GrayOver,
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
            Self::Frozen => "frozen",
            Self::AtRisk => "at-risk",
            Self::AtRiskOver => "at-risk-over",
            Self::Voters => "voters",
            Self::SiteDown => "site-down",
            Self::SiteUp => "site-up",
            Self::Gray => "gray",
            Self::GrayOver => "gray-over",
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
    voters: BTreeSet<RegionId>,
    /// The holder has missed two renewals in a row.
    is_silent: bool,
    /// What the holder says under this epoch; nothing while it says nothing.
    at_risk: Option<bool>,
    frozen: Option<String>,
}

impl Sight {
    /// Returns what is to be seen now.
    #[must_use]
    pub fn of(state: &State, policy: &Policy, now: Instant) -> Self {
        let cells = state.cells().iter();
        let cells =
            cells.map(|(cell, seen)| (cell.clone(), CellSight::of(cell, seen, state, policy, now)));
        Self { cells: cells.collect(), sites: heard(state.sites().iter()) }
    }

    /// Looks at one cell again, and returns what has happened to it.
    #[must_use]
    pub fn look_again(
        &mut self,
        cell: &CellId,
        state: &State,
        policy: &Policy,
        now: Instant,
    ) -> Vec<Happening> {
        let seen = state.cells().get_key_value(cell);
        let cells = seen
            .map(|(cell, seen)| (cell.clone(), CellSight::of(cell, seen, state, policy, now)))
            .into_iter();
        let sight = Self { cells: cells.collect(), sites: heard(state.sites_of(cell)) };
        let news = sight.since(self);
        self.cells.extend(sight.cells);
        self.sites.extend(sight.sites);
        news
    }

    /// Returns what has happened since `before`, cells first.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Happening> {
        let cells = self.cells.iter().flat_map(|(cell, sight)| {
            let earlier = before.cells.get(cell);
            let news = [
                silence(cell, sight, earlier),
                change(cell, sight, earlier),
                voters(cell, sight, earlier),
                risk(cell, sight, earlier),
                freeze(cell, sight, earlier),
            ];
            news.into_iter().flatten()
        });
        let sites = self.sites.iter().filter_map(|(site, answers)| {
            let epoch = self.cells.get(&site.cell).map_or(Epoch(0), |sight| sight.epoch);
            presence(site, *answers, before.sites.get(site).copied(), epoch)
        });
        cells.chain(sites).collect()
    }
}

impl CellSight {
    fn of(cell: &CellId, seen: &SeenCell, state: &State, policy: &Policy, now: Instant) -> Self {
        let activation = &seen.routed.activation;
        Self {
            epoch: activation.epoch,
            phase: activation.phase.clone(),
            reason: activation.reason.clone(),
            voters: activation.voters.clone(),
            is_silent: is_silent(seen, state, policy, now),
            at_risk: is_at_risk(cell, seen, state),
            frozen: state.frozen().get(cell).map(|frozen| frozen.why.clone()),
        }
    }
}

/// Whether each of these sites answers, if it was ever heard.
fn heard<'a>(sites: impl Iterator<Item = (&'a SiteId, &'a SeenSite)>) -> BTreeMap<SiteId, bool> {
    let heard = sites.filter(|(_, site)| site.was_heard());
    heard.map(|(id, site)| (id.clone(), site.is_reachable())).collect()
}

/// A lease counts as silent after two missed renewals, in time in which etcd could be read. Who hands over
/// renews none once nothing is in flight.
fn is_silent(seen: &SeenCell, state: &State, policy: &Policy, now: Instant) -> bool {
    let is_renewed = match &seen.routed.activation.phase {
        Phase::Steady { .. } | Phase::Promoting { .. } => true,
        Phase::Switching { .. } | Phase::Electing { .. } => false,
    };
    let renewed = is_renewed && seen.lease.is_some();
    let unbroken = state.unbroken_since().unwrap_or(now);
    let since = silent_since(seen).max(unbroken);
    renewed && state.is_fresh(now) && now - since > policy.lease.renew * 2
}

/// What the holder said before its epoch began says nothing about it.
fn is_at_risk(cell: &CellId, seen: &SeenCell, state: &State) -> Option<bool> {
    let activation = &seen.routed.activation;
    let site = state.site(cell, activation.serving()?);
    let report = site.report().filter(|report| report.epoch == activation.epoch.0)?;
    Some(report.at_risk)
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

/// Under a new epoch the voters are part of what begins it.
fn voters(cell: &CellId, sight: &CellSight, earlier: Option<&CellSight>) -> Option<Happening> {
    let earlier = earlier?;
    let changed = earlier.epoch == sight.epoch && earlier.voters != sight.voters;
    changed.then(|| Happening {
        kind: Kind::Voters,
        cell: cell.clone(),
        region: holder(&sight.phase).cloned(),
        epoch: sight.epoch,
        reason: sight.reason.clone(),
        evidence: format!("{}; before: {}", names(&sight.voters), names(&earlier.voters)),
    })
}

fn risk(cell: &CellId, sight: &CellSight, earlier: Option<&CellSight>) -> Option<Happening> {
    let was = earlier.and_then(|earlier| earlier.at_risk).unwrap_or(false);
    let (kind, reason) = match (was, sight.at_risk?) {
        (false, true) => (Kind::AtRisk, "losing the active site's region would lose writes"),
        (true, false) => (Kind::AtRiskOver, "enough voters replicate again"),
        (true, true) | (false, false) => return None,
    };
    Some(Happening {
        kind,
        cell: cell.clone(),
        region: holder(&sight.phase).cloned(),
        epoch: sight.epoch,
        reason: reason.to_owned(),
        evidence: format!("the active site says so; voters: {}", names(&sight.voters)),
    })
}

fn freeze(cell: &CellId, sight: &CellSight, earlier: Option<&CellSight>) -> Option<Happening> {
    let why = sight.frozen.as_ref()?;
    let told = earlier.is_some_and(|earlier| earlier.frozen.is_some());
    (!told).then(|| Happening {
        kind: Kind::Frozen,
        cell: cell.clone(),
        region: holder(&sight.phase).cloned(),
        epoch: sight.epoch,
        reason: way_out(cell),
        evidence: why.clone(),
    })
}

/// What a person can do about a cell that is left as it is.
#[must_use]
pub fn way_out(cell: &CellId) -> String {
    format!(
        "nothing is promoted by itself. When the lost sites will not come back in time: POST \
         /v1/cells/{cell}/failover elects among who answers; if their votes do not suffice, \
         {{\"accept_data_loss\": true, \"reason\": \"…\"}} promotes the furthest of them and gives \
         up what only the others have"
    )
}

fn names(regions: &BTreeSet<RegionId>) -> String {
    if regions.is_empty() {
        return "none".to_owned();
    }
    regions.iter().map(RegionId::as_str).collect::<Vec<_>>().join(", ")
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
