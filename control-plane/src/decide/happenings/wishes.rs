//! What becomes of what people asked for: operations and their steps, drained regions, the freeze.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;
use topology::{CellId, RegionId, SiteId};

use crate::decide::operation::{Election, Move, Operation, Status, Step, StepState, What};
use crate::decide::state::Intent;
use crate::store::Freeze;

/// One entry of the logbook, without the time: that is the writer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub kind: Kind,
    pub operation: Option<String>,
    pub cell: Option<CellId>,
    pub region: Option<RegionId>,
    pub reason: String,
    pub evidence: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OperationBegun,
    OperationStep,
    OperationWaits,
    /// A person wants it to end; what goes on is finished or taken back.
    OperationCancelled,
    OperationEnded,
    RegionDrained,
    RegionRestored,
    Freeze,
    FreezeOver,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OperationBegun => "operation-begun",
            Self::OperationStep => "operation-step",
            Self::OperationWaits => "operation-waits",
            Self::OperationCancelled => "operation-cancelled",
            Self::OperationEnded => "operation-ended",
            Self::RegionDrained => "region-drained",
            Self::RegionRestored => "region-restored",
            Self::Freeze => "freeze",
            Self::FreezeOver => "freeze-over",
        }
    }
}

/// The little of what people want that the logbook is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    operations: BTreeMap<String, Arc<Operation>>,
    drained: BTreeSet<RegionId>,
    /// As long as it holds.
    freeze: Option<Freeze>,
    /// What was said last, whether or not it holds.
    said: Option<Freeze>,
}

impl Wishes {
    #[must_use]
    pub fn of(intent: &Intent, now: Instant) -> Self {
        let operations = intent.operations().iter();
        let operations = operations.map(|(id, seen)| (id.clone(), Arc::clone(&seen.operation)));
        Self {
            operations: operations.collect(),
            drained: intent.drained().clone(),
            freeze: intent.freeze(now).cloned(),
            said: intent.last_freeze().map(|seen| seen.freeze.clone()),
        }
    }

    /// Returns what is going on, for whoever sees it for the first time.
    #[must_use]
    pub fn first_seen(&self) -> Vec<Turn> {
        let operations = self.operations.iter().map(|(id, operation)| begun(id, operation));
        let drained = self.drained.iter().map(drained);
        operations.chain(drained).chain(self.freeze.as_ref().map(frozen)).collect()
    }

    /// Returns what has happened since `before`, but for operations that are not there any more.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Turn> {
        let operations = self.operations.iter().flat_map(|(id, operation)| {
            of_operation(id, operation, before.operations.get(id).map(|earlier| &**earlier))
        });
        let newly = self.drained.difference(&before.drained);
        let newly = newly.map(drained);
        let again = before.drained.difference(&self.drained);
        let again = again.map(restored);
        let freeze = match (&before.freeze, &self.freeze) {
            (earlier, Some(freeze)) if earlier.as_ref() != Some(freeze) => Some(frozen(freeze)),
            (Some(_), None) => Some(thawed(self.said.as_ref())),
            _ => None,
        };
        operations.chain(newly).chain(again).chain(freeze).collect()
    }

    /// Returns the operations that are not there any more, as they were seen last; nothing of those
    /// that were seen to end.
    #[must_use]
    pub fn gone_since<'a>(&self, before: &'a Self) -> Vec<(&'a String, &'a Arc<Operation>)> {
        let gone = before.operations.iter().filter(|(id, operation)| {
            !self.operations.contains_key(*id) && !operation.status.has_ended()
        });
        gone.collect()
    }
}

/// Returns what has happened to an operation since it was `before`, in order.
#[must_use]
pub fn of_operation(id: &str, now: &Operation, before: Option<&Operation>) -> Vec<Turn> {
    let mut turns = Vec::new();
    if before.is_none() {
        turns.push(begun(id, now));
    }
    for (number, wave) in now.waves.iter().enumerate() {
        for (index, step) in wave.iter().enumerate() {
            let earlier = before.and_then(|before| before.waves.get(number)?.get(index));
            let was = earlier.map_or("waiting", |earlier| earlier.state.name());
            if was != step.state.name() {
                turns.push(of_step(id, now, step));
            }
        }
    }
    if let (Some(why), None) = (&now.waits_for, before.and_then(|it| it.waits_for.as_ref())) {
        turns.push(turn(Kind::OperationWaits, id, now, format!("{} waits for {why}", now.goal)));
    }
    if let (Some(cancel), None) = (&now.cancel, before.and_then(|it| it.cancel.as_ref())) {
        let reason = format!("{} is cancelled by {}", now.goal, cancel.who);
        turns.push(turn(Kind::OperationCancelled, id, now, reason));
    }
    if now.status.has_ended() && before.is_none_or(|before| !before.status.has_ended()) {
        let why = match &now.status {
            Status::Failed(why) => format!(": {why}"),
            Status::Running | Status::Undoing | Status::Done | Status::Cancelled => String::new(),
        };
        let reason = format!("{}: {}{why}", now.goal, now.status.name());
        turns.push(turn(Kind::OperationEnded, id, now, reason));
    }
    turns
}

/// Says that an operation is over of which nothing more is known.
#[must_use]
pub fn vanished(id: &str, last: &Operation) -> Turn {
    turn(Kind::OperationEnded, id, last, format!("{}: it is not recorded any more", last.goal))
}

fn begun(id: &str, operation: &Operation) -> Turn {
    let asked = &operation.asked;
    let why = asked.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let reason = format!("{}, asked by {} in {}{why}", operation.goal, asked.who, asked.vantage);
    turn(Kind::OperationBegun, id, operation, reason)
}

fn of_step(id: &str, operation: &Operation, step: &Step) -> Turn {
    let (cell, region) = match &step.what {
        What::Drain(region) | What::Undrain(region) => (None, Some(region)),
        What::Move(Move { cell, to, .. }) => (Some(cell.clone()), Some(to)),
        What::Elect(Election { cell, to, .. }) => (Some(cell.clone()), to.as_ref()),
        What::Retire(SiteId { cell, region }) | What::Add(SiteId { cell, region }) => {
            (Some(cell.clone()), Some(region))
        }
    };
    let told = match &step.state {
        StepState::Waiting => "waits again".to_owned(),
        StepState::Going { attempt: 1, .. } => "begins".to_owned(),
        StepState::Going { attempt, .. } => format!("begins, attempt {attempt}"),
        StepState::Done { took_ms, hold_ms: None, .. } => format!("done in {took_ms} ms"),
        StepState::Done { took_ms, hold_ms: Some(held), .. } => {
            format!("done in {took_ms} ms, requests waited {held} ms")
        }
        StepState::Skipped(why) => format!("skipped: {why}"),
        StepState::Failed(why) => format!("failed: {why}"),
    };
    let of_all = turn(Kind::OperationStep, id, operation, format!("{}: {told}", step.what));
    Turn { cell, region: region.cloned(), ..of_all }
}

fn turn(kind: Kind, id: &str, operation: &Operation, reason: String) -> Turn {
    let ended = operation.steps().filter(|step| step.state.has_ended()).count();
    let steps = operation.steps().count();
    let wave = operation.wave().map_or_else(String::new, |wave| {
        format!("wave {} of {}, ", wave + 1, operation.waves.len())
    });
    Turn {
        kind,
        operation: Some(id.to_owned()),
        cell: operation.goal.cell().cloned(),
        region: operation.goal.region().cloned(),
        reason,
        evidence: format!("{wave}{ended} of {steps} steps"),
    }
}

fn drained(region: &RegionId) -> Turn {
    of_region(Kind::RegionDrained, region, "no target of any move any more")
}

fn restored(region: &RegionId) -> Turn {
    of_region(Kind::RegionRestored, region, "a target again")
}

fn of_region(kind: Kind, region: &RegionId, reason: &str) -> Turn {
    let (reason, region) = (reason.to_owned(), Some(region.clone()));
    Turn { kind, operation: None, cell: None, region, reason, evidence: String::new() }
}

fn frozen(freeze: &Freeze) -> Turn {
    of_freeze(Kind::Freeze, freeze.reason.clone(), format!("said by {}", freeze.who))
}

fn thawed(said: Option<&Freeze>) -> Turn {
    match said {
        Some(said) if !said.frozen => {
            of_freeze(Kind::FreezeOver, said.reason.clone(), format!("said by {}", said.who))
        }
        _ => of_freeze(Kind::FreezeOver, "its time is over".to_owned(), String::new()),
    }
}

fn of_freeze(kind: Kind, reason: String, evidence: String) -> Turn {
    Turn { kind, operation: None, cell: None, region: None, reason, evidence }
}

#[cfg(test)]
mod tests;
