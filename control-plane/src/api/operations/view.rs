//! An operation and its steps, as callers see them.

use schemars::JsonSchema;
use serde::Serialize;
use topology::SiteId;

use crate::decide::operation::advance::AT_ONCE;
use crate::decide::operation::{Election, Move, Operation, Status, Step, StepState, What};
use crate::levers::history::Expected;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct OperationView {
    id: String,
    kind: &'static str,
    /// Which cell it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<String>,
    /// The region that it is about, or in which the cell has its site or is to be active; missing where
    /// any will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    who: String,
    asked_in: String,
    asked_unix_ms: u64,
    reason: Option<String>,
    overridden: Vec<String>,
    executor: String,
    cancelled_by: Option<String>,
    waits_for: Option<String>,
    /// The wave that goes on or comes next, counted from 0.
    wave: Option<usize>,
    steps_ended: usize,
    steps: usize,
    /// By how long earlier moves took; `null` before the first, and once it has ended.
    eta_ms: Option<u64>,
    ended_unix_ms: Option<u64>,
    waves: Vec<Vec<StepView>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StepView {
    #[serde(rename = "do")]
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Where the cell goes, the region that is marked, or the site's; missing where any will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub(super) fn view(id: &str, operation: &Operation, expected: Option<&Expected>) -> OperationView {
    let why = match &operation.status {
        Status::Failed(why) => Some(why.clone()),
        Status::Running | Status::Undoing | Status::Done | Status::Cancelled => None,
    };
    OperationView {
        id: id.to_owned(),
        kind: operation.goal.kind(),
        cell: operation.goal.cell().map(ToString::to_string),
        region: operation.goal.region().map(ToString::to_string),
        status: operation.status.name(),
        why,
        who: operation.asked.who.clone(),
        asked_in: operation.asked.vantage.to_string(),
        asked_unix_ms: operation.asked.at_unix_ms,
        reason: operation.asked.reason.clone(),
        overridden: operation.asked.override_rules.clone(),
        executor: operation.executor.to_string(),
        cancelled_by: operation.cancel.as_ref().map(|cancel| cancel.who.clone()),
        waits_for: operation.waits_for.clone(),
        wave: operation.wave(),
        steps_ended: operation.steps().filter(|step| step.state.has_ended()).count(),
        steps: operation.steps().count(),
        eta_ms: expected.and_then(|expected| eta(operation, expected)),
        ended_unix_ms: operation.ended_unix_ms,
        waves: operation.waves.iter().map(|wave| wave.iter().map(step).collect()).collect(),
    }
}

/// Each wave takes as long as its moves, of which some go on at once, and the pause before it.
fn eta(operation: &Operation, expected: &Expected) -> Option<u64> {
    let next = operation.wave().filter(|_| !operation.status.has_ended())?;
    let waves = operation.waves.iter().enumerate().skip(next);
    let waves = waves.map(|(number, wave)| {
        let left = wave.iter().filter(|step| !step.state.has_ended());
        let moves = left.filter(|step| matches!(step.what, What::Move(_))).count();
        let rounds = u64::try_from(moves.div_ceil(AT_ONCE)).unwrap_or(u64::MAX);
        let pause = if number > next.max(1) { operation.pause_ms } else { 0 };
        rounds.saturating_mul(expected.took_ms).saturating_add(pause)
    });
    Some(waves.fold(0, u64::saturating_add))
}

fn step(step: &Step) -> StepView {
    let (what, cell, from, to) = match &step.what {
        What::Drain(region) => ("drain", None, None, Some(region)),
        What::Undrain(region) => ("undrain", None, None, Some(region)),
        What::Move(Move { cell, from, to, .. }) => ("move", Some(cell), Some(from), Some(to)),
        What::Elect(Election { cell, from, to, .. }) => {
            ("elect", Some(cell), from.as_ref(), to.as_ref())
        }
        What::Retire(SiteId { cell, region }) => ("retire", Some(cell), None, Some(region)),
        What::Add(SiteId { cell, region }) => ("add", Some(cell), None, Some(region)),
    };
    let (attempt, took_ms, hold_ms, why) = match &step.state {
        StepState::Waiting => (None, None, None, None),
        StepState::Going { attempt, .. } => (Some(*attempt), None, None, None),
        StepState::Done { took_ms, hold_ms, .. } => (None, Some(*took_ms), *hold_ms, None),
        StepState::Skipped(why) | StepState::Failed(why) => (None, None, None, Some(why.clone())),
    };
    let (cell, from) = (cell.map(ToString::to_string), from.map(ToString::to_string));
    let (state, to) = (step.state.name(), to.map(ToString::to_string));
    StepView { what, cell, from, to, state, attempt, took_ms, hold_ms, why }
}

#[cfg(test)]
mod tests;
