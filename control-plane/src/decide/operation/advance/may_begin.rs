//! Whether a step may begin now, and as what.

use topology::{Activation, SiteId};

use super::Situation;
use crate::decide::operation::{Goal, Move, Operation, Status, What};
use crate::decide::plan::target;
use crate::decide::safety::{self, Proposal};
use crate::decide::switchover;

/// Why a step does not begin.
pub(super) enum Held {
    /// It is no longer needed.
    Over(String),
    /// A person has said so, and may take their time.
    Up(String),
    /// It will be failed if that goes on.
    NotYet(String),
}

/// Returns the step as it may begin now. A move that was planned under another epoch is planned anew.
pub(super) fn may_begin(
    operation: &Operation,
    what: &What,
    at: Situation<'_>,
) -> Result<What, Held> {
    let Operation { goal, asked, .. } = operation;
    let Situation { state, spec, now, .. } = at;
    let planned = match what {
        What::Retire(site) | What::Add(site) => {
            return may_change(operation, what, site, at).map(|()| what.clone());
        }
        // A mark moves nothing. One that is there already is somebody else's.
        What::Drain(region) if state.intent().drained().contains(region) => {
            return Err(Held::Over(format!("{region} is drained already")));
        }
        What::Undrain(region) if !state.intent().drained().contains(region) => {
            return Err(Held::Over(format!("{region} is a target already")));
        }
        What::Drain(_) | What::Undrain(_) | What::Elect(_) => return Ok(what.clone()),
        What::Move(planned) => planned,
    };
    if let Some(broken) = safety::frozen(state, now) {
        return Err(Held::Up(format!("frozen: {broken}")));
    }
    let Some(seen) = state.cells().get(&planned.cell) else {
        return Err(Held::Over("there is no such cell any more".to_owned()));
    };
    let activation = &seen.routed.activation;
    let Some(active) = activation.serving() else {
        return Err(Held::NotYet(format!("{} is {}", planned.cell, activation.phase)));
    };
    let done = match goal {
        Goal::Evacuate(region) => active != region,
        Goal::Restore(region) | Goal::Switchover(SiteId { region, .. }) => active == region,
        Goal::Drain(_)
        | Goal::Undrain(_)
        | Goal::RetireSite(_)
        | Goal::AddSite(_)
        | Goal::Failover { .. } => true,
    };
    if done {
        return Err(Held::Over(format!("active in {active} already")));
    }
    if matches!(goal, Goal::Restore(_))
        && activation.epoch > planned.epoch
        && was_failed_over(activation)
    {
        return Err(Held::Over(format!("failed over to {active} meanwhile")));
    }
    let mut planned = Move { from: active.clone(), epoch: activation.epoch, ..planned.clone() };
    if let Goal::Evacuate(region) = goal
        && (switchover::check(state, &planned.cell, &planned.to).is_err()
            || state.intent().drained().contains(&planned.to))
    {
        planned.to = target(&planned.cell, region, &[], state, spec)
            .map_err(|broken| Held::NotYet(broken.to_string()))?;
    }
    let moves = [planned.clone()];
    // Each alone may have room, and all of them none: those of this operation, and of others.
    let own = operation.steps().filter(|step| step.is_going());
    let own = own.filter_map(|step| match &step.what {
        What::Move(planned) => Some(planned.clone()),
        What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => None,
    });
    let going: Vec<Move> = state.intent().moves_going_on().into_iter().chain(own).collect();
    let proposal = Proposal { drains: goal.drains(), undrains: None, moves: &moves, going: &going };
    let mut broken = safety::check(proposal, state, spec, now);
    broken.retain(|broken| !broken.is_overridden(&asked.override_rules));
    match broken.first() {
        Some(broken) => Err(Held::NotYet(broken.to_string())),
        None => Ok(What::Move(planned)),
    }
}

/// Whether a person has failed the cell over to where it is. They had a reason against where it was, and know
/// more than who asked before that for every cell to come home.
fn was_failed_over(activation: &Activation) -> bool {
    let cause = activation.cause.as_ref();
    cause.is_some_and(|cause| cause.operation.is_some() && cause.kind == Goal::FAILOVER)
}

/// Whether a site may be kept out now, or let in.
fn may_change(
    operation: &Operation,
    what: &What,
    site: &SiteId,
    at: Situation<'_>,
) -> Result<(), Held> {
    let Situation { state, now, .. } = at;
    if operation.status != Status::Undoing
        && let Some(broken) = safety::frozen(state, now)
    {
        return Err(Held::Up(format!("frozen: {broken}")));
    }
    let Some(seen) = state.cells().get(&site.cell) else {
        return Err(Held::Over("there is no such cell any more".to_owned()));
    };
    let is_marked = seen.routed.activation.retired.contains(&site.region);
    match (what, is_marked) {
        (What::Retire(_), true) => Err(Held::Over(format!("{site} is kept out already"))),
        (What::Retire(_), false) => match safety::retired(site, state).first() {
            Some(broken) => Err(Held::NotYet(broken.to_string())),
            None => Ok(()),
        },
        (_, true) => Ok(()),
        (_, false) => Err(Held::Over(format!("{site} is not kept out"))),
    }
}
