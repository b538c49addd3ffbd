//! The rules that every plan of people is checked against, whoever asks and however often: when it is
//! planned, and again before each move of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tokio::time::Instant;
use topology::{CellId, Phase, RegionId, SiteId, Spec};

use super::State;
use super::operation::Move;
use super::switchover;

/// How much of a region's capacity a planned move must leave free, in per cent.
const HEADROOM: i64 = 20;

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A person has frozen everything: nothing is moved, neither by plan nor by itself.
    Frozen,
    /// Moves by plan have their hours.
    OutsideWindow,
    /// A drained region is never a target.
    RegionDrained,
    /// No second region is emptied while one is down or drained.
    SecondRegion,
    /// Every cell keeps a site that serves or could: a target must be ready.
    NoReadySite,
    /// What a move leaves free of the target's capacity must suffice for what may come.
    NoHeadroom,
    /// What another version has begun and is not understood goes on, and may be about the same.
    NotUnderstood,
}

impl Rule {
    pub const ALL: [Self; 7] = [
        Self::Frozen,
        Self::OutsideWindow,
        Self::RegionDrained,
        Self::SecondRegion,
        Self::NoReadySite,
        Self::NoHeadroom,
        Self::NotUnderstood,
    ];

    /// Returns the rule's name, which is also the code of the problem.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::OutsideWindow => "outside-change-window",
            Self::RegionDrained => "region-drained",
            Self::SecondRegion => "second-region",
            Self::NoReadySite => "no-ready-site",
            Self::NoHeadroom => "no-headroom",
            Self::NotUnderstood => "operation-not-understood",
        }
    }

    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Frozen => "Everything is frozen",
            Self::OutsideWindow => "Planned moves are not allowed at this time",
            Self::RegionDrained => "A drained region is never a target",
            Self::SecondRegion => "No second region is emptied while one is down or drained",
            Self::NoReadySite => "A cell would be left without a ready site",
            Self::NoHeadroom => "Too little capacity would be left",
            Self::NotUnderstood => "An operation that is not understood here is in the way",
        }
    }

    /// Whether a person may say that it does not count this once. The others are lifted where they
    /// were set, or are in the nature of things.
    #[must_use]
    pub fn may_be_overridden(self) -> bool {
        match self {
            Self::OutsideWindow | Self::SecondRegion | Self::NoHeadroom | Self::NotUnderstood => {
                true
            }
            Self::Frozen | Self::RegionDrained | Self::NoReadySite => false,
        }
    }
}

/// A rule that a plan would break, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub rule: Rule,
    pub detail: String,
}

impl Broken {
    /// Returns whether a person has named the rule, and it may be overridden.
    #[must_use]
    pub fn is_overridden(&self, names: &[String]) -> bool {
        self.rule.may_be_overridden() && names.iter().any(|name| name == self.rule.code())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// What somebody is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// The region that is emptied, if one is.
    pub drains: Option<&'a RegionId>,
    /// The region that becomes a target again, if one does.
    pub undrains: Option<&'a RegionId>,
    pub moves: &'a [Move],
    /// What goes on already, and takes up room where it ends.
    pub going: &'a [Move],
}

/// Returns every rule that the proposal would break; none if it may be done.
#[must_use]
pub fn check(proposal: Proposal<'_>, state: &State, spec: &Spec, now: Instant) -> Vec<Broken> {
    let mut broken = Vec::new();
    broken.extend(frozen(state, now));
    for planned in proposal.moves {
        broken.extend(drained(planned, proposal, state));
    }
    broken.extend(proposal.drains.and_then(|region| second_region(region, state, spec)));
    for planned in proposal.moves {
        broken.extend(unready(planned, state));
    }
    broken.extend(headroom(proposal, state, spec));
    broken
}

/// Returns whether a person has frozen everything.
#[must_use]
pub fn frozen(state: &State, now: Instant) -> Option<Broken> {
    let freeze = state.intent().freeze(now)?;
    let detail = format!("{} said so: {}", freeze.who, freeze.reason);
    Some(Broken { rule: Rule::Frozen, detail })
}

fn drained(planned: &Move, proposal: Proposal<'_>, state: &State) -> Option<Broken> {
    let Move { cell, to, .. } = planned;
    let undrained = proposal.undrains == Some(to);
    let drained = state.intent().drained().contains(to) && !undrained;
    (drained || proposal.drains == Some(to)).then(|| Broken {
        rule: Rule::RegionDrained,
        detail: format!("{cell} cannot be moved to {to}: the region is drained"),
    })
}

fn second_region(drains: &RegionId, state: &State, spec: &Spec) -> Option<Broken> {
    let others = spec.regions.iter().map(|region| &region.id).filter(|region| *region != drains);
    let mut others = others.filter_map(|region| {
        if state.intent().drained().contains(region) {
            Some(format!("{region} is drained"))
        } else if is_down(region, state) {
            Some(format!("{region} is down: none of its sites answers"))
        } else {
            None
        }
    });
    let detail = others.next()?;
    Some(Broken { rule: Rule::SecondRegion, detail })
}

/// Returns whether none of the region's sites answers, and it has some.
#[must_use]
pub fn is_down(region: &RegionId, state: &State) -> bool {
    let mut sites = state.sites().iter().filter(|(id, _)| id.region == *region).peekable();
    sites.peek().is_some() && sites.all(|(_, site)| !site.is_reachable())
}

fn unready(planned: &Move, state: &State) -> Option<Broken> {
    let refusal = switchover::check(state, &planned.cell, &planned.to).err()?;
    let detail = format!("{} cannot be moved to {}: {refusal}", planned.cell, planned.to);
    Some(Broken { rule: Rule::NoReadySite, detail })
}

/// Returns every rule that would be broken if the site were kept out of its cell: the others must be
/// able to acknowledge, and one of them ready to take the cell over.
#[must_use]
pub fn retired(site: &SiteId, state: &State) -> Vec<Broken> {
    let unready = |detail: String| vec![Broken { rule: Rule::NoReadySite, detail }];
    let SiteId { cell, region } = site;
    let Some(seen) = state.cells().get(cell) else {
        return unready(format!("there is no cell {cell}"));
    };
    let activation = &seen.routed.activation;
    match activation.serving() {
        None => return unready(format!("{cell} is {}: nobody can leave it now", activation.phase)),
        Some(active) if active == region => {
            return unready(format!("{cell} is active in {region}: move it first"));
        }
        Some(_) => {}
    }
    let rest = activation.voters.iter().filter(|voter| *voter != region);
    let rest: Vec<&RegionId> = rest.filter(|voter| !activation.retired.contains(*voter)).collect();
    let acks = activation.acks.max(1);
    if rest.len() < acks {
        let left = rest.len();
        return unready(format!(
            "{cell} would be left with {left} standbys that vote, and needs {acks}"
        ));
    }
    let why: Result<(), Vec<String>> = rest
        .into_iter()
        .try_fold(Vec::new(), |mut why, voter| {
            if state.intent().drained().contains(voter) {
                why.push(format!("{voter} is drained"));
                return Ok(why);
            }
            match switchover::check(state, cell, voter) {
                Ok(_) => Err(()),
                Err(refusal) => {
                    why.push(refusal.to_string());
                    Ok(why)
                }
            }
        })
        .map_or(Ok(()), Err);
    match why {
        Ok(()) => Vec::new(),
        Err(why) => {
            unready(format!("{cell} would be left without a ready site: {}", why.join("; ")))
        }
    }
}

/// What of a region's capacity is used by the cells that are active there, and how much is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The weights of the cells that are active there, together.
    pub weight: u32,
    /// What `regions.yaml` says that the region can carry, in the same measure.
    pub capacity: Option<u32>,
}

impl Load {
    /// Returns the free part of the capacity in per cent; negative if more is used than there is.
    /// Without a capacity nobody knows.
    #[must_use]
    pub fn headroom(self) -> Option<i64> {
        let capacity = i64::from(self.capacity?).max(1);
        Some(100 - i64::from(self.weight) * 100 / capacity)
    }
}

/// Returns each region's load after the moves. A cell without an active site weighs nowhere, and one that
/// is being moved besides both where it comes from and where it goes.
#[must_use]
pub fn loads(moves: &[Move], state: &State, spec: &Spec) -> BTreeMap<RegionId, Load> {
    let to: BTreeMap<&CellId, &RegionId> =
        moves.iter().map(|planned| (&planned.cell, &planned.to)).collect();
    let mut loads: BTreeMap<RegionId, Load> = spec
        .regions
        .iter()
        .map(|region| (region.id.clone(), Load { weight: 0, capacity: region.capacity }))
        .collect();
    for cell in &spec.cells {
        let seen = state.cells().get(&cell.id);
        let active = seen.and_then(|seen| seen.routed.activation.holder());
        let region = to.get(&cell.id).copied().or(active);
        if let Some(load) = region.and_then(|region| loads.get_mut(region)) {
            load.weight += cell.weight;
        }
        let phase = seen.map(|seen| &seen.routed.activation.phase);
        if let Some(Phase::Switching { target, .. }) = phase
            && !to.contains_key(&cell.id)
            && let Some(load) = loads.get_mut(target)
        {
            load.weight += cell.weight;
        }
    }
    loads
}

fn headroom(proposal: Proposal<'_>, state: &State, spec: &Spec) -> Vec<Broken> {
    let Proposal { moves, going, .. } = proposal;
    let targets: BTreeSet<&RegionId> = moves.iter().map(|planned| &planned.to).collect();
    let loads = loads(&[going, moves].concat(), state, spec);
    let short = targets.into_iter().filter_map(|region| {
        let load = loads.get(region)?;
        let left = load.headroom().filter(|left| *left < HEADROOM)?;
        let detail = format!(
            "{region} would carry {} of its capacity {}, which leaves {left} %, less than {HEADROOM} %",
            load.weight,
            load.capacity?,
        );
        Some(Broken { rule: Rule::NoHeadroom, detail })
    });
    short.collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod world;
