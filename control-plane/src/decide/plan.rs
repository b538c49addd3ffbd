//! What a person's goal comes to now: which steps, in which waves, and which rules they would break.
//!
//! For a region that is which cell goes where; for one cell or one site it is a single step, whose own
//! checks are elsewhere ([`switchover::check`], [`asked_failover::check`](super::asked_failover::check),
//! [`safety::retired`]). A lost cell breaks no rule for planned moves.

use std::collections::BTreeMap;

use tokio::time::Instant;
use topology::{CellId, Phase, RegionId, SiteId, Spec};

use super::operation::waves::waves;
use super::operation::{Election, Goal, Move, What};
use super::safety::{self, Broken, Load, Proposal, Rule};
use super::{State, switchover};

/// A plan, and what stands in its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub goal: Goal,
    pub waves: Vec<Vec<What>>,
    pub broken: Vec<Broken>,
}

impl Plan {
    pub fn moves(&self) -> impl Iterator<Item = &Move> {
        self.waves.iter().flatten().filter_map(|what| match what {
            What::Move(planned) => Some(planned),
            What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => {
                None
            }
        })
    }
}

/// Returns the plan. It holds for the state it was made from: each move carries the epoch of its
/// cell, and is refused under another.
#[must_use]
pub fn plan(goal: &Goal, state: &State, spec: &Spec, now: Instant) -> Plan {
    let mut plan = own(goal, state, spec, now);
    let strangers = state.intent().strangers().iter();
    let strangers = strangers.filter(|(_, it)| it.is_in_the_way_of(goal, &plan.waves));
    plan.broken.extend(strangers.map(|(id, stranger)| Broken {
        rule: Rule::NotUnderstood,
        detail: format!("{id} goes on, is not understood here, and may be about {stranger}"),
    }));
    plan
}

/// Returns the plan as if nobody else had begun what is not understood.
fn own(goal: &Goal, state: &State, spec: &Spec, now: Instant) -> Plan {
    let first = match goal {
        Goal::Evacuate(region) | Goal::Drain(region) => What::Drain(region.clone()),
        Goal::Restore(region) | Goal::Undrain(region) => What::Undrain(region.clone()),
        Goal::RetireSite(site) => {
            return about_a_site(goal, What::Retire(site.clone()), state, now);
        }
        Goal::AddSite(site) => return about_a_site(goal, What::Add(site.clone()), state, now),
        Goal::Switchover(site) => return of_a_cell(goal, site, state, spec, now),
        Goal::Failover { cell, .. } => return of_a_loss(goal, cell, state),
    };
    let mut broken = Vec::new();
    let mut moves: Vec<Move> = Vec::new();
    let going = state.intent().moves_ahead();
    for cell in smallest_first(goal, state, spec) {
        let seen = &state.cells()[&cell];
        let activation = &seen.routed.activation;
        let to = match goal {
            Goal::Evacuate(region) => {
                target(&cell, region, &[&going[..], &moves].concat(), state, spec)
            }
            Goal::Restore(region) => Ok(region.clone()),
            Goal::Drain(_)
            | Goal::Undrain(_)
            | Goal::RetireSite(_)
            | Goal::AddSite(_)
            | Goal::Switchover(_)
            | Goal::Failover { .. } => continue,
        };
        match (activation.serving(), to) {
            (Some(from), Ok(to)) => {
                let (from, epoch) = (from.clone(), activation.epoch);
                moves.push(Move { cell, from, to, epoch });
            }
            (None, _) => broken.push(Broken {
                rule: Rule::NoReadySite,
                detail: format!("{cell} is {}: it cannot be moved now", activation.phase),
            }),
            (Some(_), Err(refusal)) => broken.push(refusal),
        }
    }
    let (drains, undrains) = (goal.drains(), goal.undrains());
    let proposal = Proposal { drains, undrains, moves: &moves, going: &going };
    broken.splice(0..0, safety::check(proposal, state, spec, now));
    let moves: Vec<What> = moves.into_iter().map(What::Move).collect();
    let waves = std::iter::once(vec![first]).chain(waves(moves)).collect();
    Plan { goal: goal.clone(), waves, broken }
}

fn about_a_site(goal: &Goal, what: What, state: &State, now: Instant) -> Plan {
    let mut broken: Vec<Broken> = safety::frozen(state, now).into_iter().collect();
    if let What::Retire(site) = &what {
        let is_out = |site: &SiteId| {
            let seen = state.cells().get(&site.cell);
            seen.is_some_and(|seen| seen.routed.activation.retired.contains(&site.region))
        };
        if !is_out(site) {
            broken.extend(safety::retired(site, state));
        }
    }
    Plan { goal: goal.clone(), waves: vec![vec![what]], broken }
}

/// An election of a cell. No rule for planned moves holds what is lost; whether it may begin is said by
/// [`asked_failover::check`](super::asked_failover::check).
fn of_a_loss(goal: &Goal, cell: &CellId, state: &State) -> Plan {
    let activation = state.cells().get(cell).map(|seen| &seen.routed.activation);
    let accept_data_loss = matches!(goal, Goal::Failover { accept_data_loss: true, .. });
    let election = activation.map(|activation| {
        What::Elect(Election {
            cell: cell.clone(),
            from: match &activation.phase {
                Phase::Electing { predecessor } => predecessor.clone(),
                Phase::Steady { .. } | Phase::Switching { .. } | Phase::Promoting { .. } => {
                    activation.holder().cloned()
                }
            },
            to: goal.region().cloned(),
            epoch: activation.epoch,
            accept_data_loss,
        })
    });
    Plan { goal: goal.clone(), waves: vec![election.into_iter().collect()], broken: Vec::new() }
}

/// One cell's move. Whether its sites are ready is said by [`switchover::check`], in words of its own.
fn of_a_cell(goal: &Goal, site: &SiteId, state: &State, spec: &Spec, now: Instant) -> Plan {
    let SiteId { cell, region: to } = site;
    let activation = state.cells().get(cell).map(|seen| &seen.routed.activation);
    let holder = activation.and_then(|activation| Some((activation.holder()?, activation.epoch)));
    let planned = holder.map(|(from, epoch)| Move {
        cell: cell.clone(),
        from: from.clone(),
        to: to.clone(),
        epoch,
    });
    let (moves, going): (Vec<Move>, _) =
        (planned.into_iter().collect(), state.intent().moves_ahead());
    let proposal = Proposal { drains: None, undrains: None, moves: &moves, going: &going };
    let mut broken = safety::check(proposal, state, spec, now);
    broken.retain(|broken| broken.rule != Rule::NoReadySite);
    Plan { goal: goal.clone(), waves: vec![moves.into_iter().map(What::Move).collect()], broken }
}

/// Returns the cells that are concerned, those with the fewest users first: what goes wrong with the
/// first shall concern few.
fn smallest_first(goal: &Goal, state: &State, spec: &Spec) -> Vec<CellId> {
    let shares = state.placement().map(topology::Placement::shares).unwrap_or_default();
    let is_concerned = |cell: &CellId| {
        let holder = state.cells()[cell].routed.activation.holder();
        match goal {
            Goal::Evacuate(region) => holder == Some(region),
            Goal::Restore(region) => {
                holder != Some(region) && spec.cell(cell).is_some_and(|cell| cell.home == *region)
            }
            Goal::Drain(_)
            | Goal::Undrain(_)
            | Goal::RetireSite(_)
            | Goal::AddSite(_)
            | Goal::Switchover(_)
            | Goal::Failover { .. } => false,
        }
    };
    let mut cells: Vec<CellId> =
        state.cells().keys().filter(|cell| is_concerned(cell)).cloned().collect();
    cells.sort_by_key(|cell| (shares.get(cell).copied().unwrap_or_default(), cell.clone()));
    cells
}

/// How well a region would do as a target. Lower is better; the order of the fields is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// In per cent of the capacity; of what is in no need of one, by weight.
    used: i64,
    weight: u32,
    rank: usize,
}

/// Returns where a cell should go that leaves `leaving`: to the ready site in the region with the most
/// capacity left, with all the moves before it done.
pub fn target(
    cell: &CellId,
    leaving: &RegionId,
    before: &[Move],
    state: &State,
    spec: &Spec,
) -> Result<RegionId, Broken> {
    let loads = safety::loads(before, state, spec);
    let mut refusals: BTreeMap<&RegionId, String> = BTreeMap::new();
    let mut best: Option<(Score, &RegionId)> = None;
    for (rank, region) in spec.regions.iter().map(|region| &region.id).enumerate() {
        let has_a_site =
            state.cells().get(cell).is_some_and(|seen| seen.routed.gateways.contains_key(region));
        if region == leaving || !has_a_site {
            continue;
        }
        if state.intent().drained().contains(region) {
            refusals.insert(region, format!("{region} is drained"));
            continue;
        }
        match switchover::check(state, cell, region) {
            Ok(_) => {
                let Load { weight, .. } = loads[region];
                let used = loads[region].headroom().map_or(0, |left| 100 - left);
                let score = Score { used, weight, rank };
                if best.is_none_or(|(other, _)| score < other) {
                    best = Some((score, region));
                }
            }
            Err(refusal) => {
                refusals.insert(region, refusal.to_string());
            }
        }
    }
    best.map(|(_, region)| region.clone()).ok_or_else(|| {
        let why: Vec<&str> = refusals.values().map(String::as_str).collect();
        let why = if why.is_empty() { "it has no other site".to_owned() } else { why.join("; ") };
        Broken {
            rule: Rule::NoReadySite,
            detail: format!("{cell} can go nowhere from {leaving}: {why}"),
        }
    })
}

#[cfg(test)]
pub(super) mod tests;
