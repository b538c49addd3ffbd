//! How an operation goes on: what has come of its steps, and which are next.
//!
//! Everything is read from the record and from the cells, except how long this executor has tried a
//! step and what was answered to it: whoever picks an operation up knows nothing of either, and
//! begins to count anew.

mod cancel;
mod going;
mod may_begin;

use std::time::Duration;

use tokio::time::Instant;
use topology::{CellId, RegionId, Spec};

use self::cancel::taken_back;
pub use self::cancel::{Fate, fates};
pub use self::going::JOINING;
use self::going::{Found, Going, has_begun};
use self::may_begin::{Held, may_begin};
use super::memory::{Memory, Place};
use super::{Goal, Move, Operation, Status, Step, StepState, What};
use crate::decide::State;
use crate::decide::redundant::is_redundant;

/// How many cells are moved at once: while one moves its requests wait in the routers, and what waited
/// is sent at once.
pub const AT_ONCE: usize = 4;
/// How long a step may take, or wait for a target that is not ready. A move takes a second; a standby
/// that follows again, some.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// How long the next wave waits for the cells of those before to be whole again: while one takes its users on
/// and its old site starts anew, another move would take longer. A region that is left because it fails may never
/// make them whole.
pub const WHOLE: Duration = Duration::from_secs(10);
/// How many waves there may be: those of the largest plan, and some for cells that came back
/// meanwhile.
const WAVES_MAX: usize = 12;

/// Why a step is left out that nothing else is the matter with.
const CANCELLED: &str = "cancelled";

/// What to do now: first write the record if it changes, then carry out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// The record as it should be; nothing if it is so.
    pub next: Option<Operation>,
    /// Steps that are recorded as going on and that nobody carries out.
    pub carry_out: Vec<Place>,
}

/// What the next step is decided from.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    pub state: &'a State,
    pub spec: &'a Spec,
    pub now: Instant,
    /// For people.
    pub unix_ms: u64,
}

/// Returns how the operation goes on.
#[must_use]
pub fn advance(operation: &Operation, memory: &Memory, at: Situation<'_>) -> Advance {
    if operation.status.has_ended() {
        return Advance::default();
    }
    let mut next = operation.clone();
    next.waits_for = None;
    let mut carry_out = Vec::new();
    for (wave, steps) in operation.waves.iter().enumerate() {
        for (index, step) in steps.iter().enumerate() {
            let StepState::Going { attempt, since_unix_ms } = step.state else { continue };
            let place = (wave, index);
            let going = Going { operation, place, attempt, since_unix_ms, memory, at };
            match going.judge(&step.what) {
                Found::Wait => {}
                Found::Held(why) => next.waits_for = Some(why),
                Found::CarryOut => carry_out.push(place),
                Found::Ended(state) => next.waves[wave][index].state = state,
                Found::LeftOut => {
                    next.waves[wave][index].state = StepState::Skipped(CANCELLED.to_owned());
                }
                Found::Again(what) => again(&mut next.waves[wave][index], what),
                Found::Elected(winner, state) => {
                    elected(&mut next.waves[wave][index], winner, state);
                }
            }
        }
    }
    // The end of the last step is the operation's: who waits for it is told by one write.
    if next.waves == operation.waves || next.wave().is_none() {
        begin(&mut next, memory, at);
    }
    let next = (next != *operation).then_some(next);
    if next.is_some() {
        carry_out.clear();
    }
    Advance { next, carry_out }
}

/// Returns the operation as somebody else goes on with it.
#[must_use]
pub fn taken_over(operation: &Operation, by: &RegionId) -> Operation {
    Operation { executor: by.clone(), ..operation.clone() }
}

/// Returns why an operation can no longer be cancelled: its one cell moves already, and is not left
/// between two sites.
#[must_use]
pub fn too_late_to_cancel(operation: &Operation, state: &State) -> Option<String> {
    let step = operation.steps().next().filter(|_| operation.is_one_move())?;
    let activation = |cell: &CellId| Some(&state.cells().get(cell)?.routed.activation);
    let (cell, activation, moves) = match &step.what {
        What::Move(Move { cell, epoch, .. }) => {
            let activation = activation(cell)?;
            (cell, activation, activation.epoch > *epoch)
        }
        What::Elect(election) => {
            let activation = activation(&election.cell)?;
            (&election.cell, activation, has_begun(election, activation))
        }
        What::Drain(_) | What::Undrain(_) | What::Retire(_) | What::Add(_) => return None,
    };
    moves.then(|| format!("{cell} is at {activation} by now"))
}

/// Returns the operation as a person cancels it: as it is where it has ended, is cancelled already, or takes
/// back what it has done, which it does for whatever reason it has failed.
#[must_use]
pub fn cancelled(operation: &Operation, who: &str, unix_ms: u64) -> Operation {
    if operation.status != Status::Running || operation.cancel.is_some() {
        return operation.clone();
    }
    let cancel = super::Cancel { who: who.to_owned(), at_unix_ms: unix_ms };
    Operation { cancel: Some(cancel), ..operation.clone() }
}

fn again(step: &mut Step, what: What) {
    step.what = what;
    if let StepState::Going { attempt, .. } = &mut step.state {
        *attempt += 1;
    }
}

fn elected(step: &mut Step, winner: RegionId, state: StepState) {
    if let What::Elect(election) = &mut step.what {
        election.to = Some(winner);
    }
    step.state = state;
}

/// Begins what comes next, or ends it.
fn begin(next: &mut Operation, memory: &Memory, at: Situation<'_>) {
    let going = next.steps().filter(|step| step.is_going()).count();
    let stops = next.status == Status::Running && next.cancel.is_some() && !is_over(next);
    // What is undone is undone whatever failed before: its own wave is the last.
    let tried = if next.status == Status::Undoing { next.waves.len() - 1 } else { 0 };
    let failed = next.waves[tried..].iter().flatten().find_map(|step| match &step.state {
        StepState::Failed(why) => Some(format!("{}: {why}", step.what)),
        StepState::Waiting
        | StepState::Going { .. }
        | StepState::Done { .. }
        | StepState::Skipped(_) => None,
    });
    if stops || failed.is_some() {
        if going > 0 {
            return;
        }
        let why = if stops { CANCELLED } else { "an earlier step failed" };
        skip_the_rest(next, why);
        match failed {
            Some(why) if !stops && !takes_back(next) => end(next, Status::Failed(why), at),
            Some(_) | None => undo(next, at),
        }
        return;
    }
    match next.wave() {
        Some(wave) => begin_wave(next, wave, going, memory, at),
        None if next.status == Status::Undoing => end(next, undone(next), at),
        None => finish(next, at),
    }
}

/// Whether all there was to do had been tried before it could be cancelled: the one cell is moved, or that
/// has failed.
fn is_over(operation: &Operation) -> bool {
    let is_tried =
        |step: &Step| matches!(step.state, StepState::Done { .. } | StepState::Failed(_));
    operation.is_one_move() && operation.steps().all(is_tried)
}

/// Whether it takes back what it has done when it fails. A site that is half in or half out is what
/// nobody wanted; of cells that were moved some are better than none.
fn takes_back(operation: &Operation) -> bool {
    let is_half = match operation.goal {
        Goal::RetireSite(_) | Goal::AddSite(_) => true,
        Goal::Evacuate(_)
        | Goal::Restore(_)
        | Goal::Drain(_)
        | Goal::Undrain(_)
        | Goal::Switchover(_)
        | Goal::Failover { .. } => false,
    };
    operation.status == Status::Running && is_half
}

/// How it has ended once all is taken back.
fn undone(operation: &Operation) -> Status {
    let failed = operation.steps().find_map(|step| match &step.state {
        StepState::Failed(why) => Some(format!("{}: {why}", step.what)),
        StepState::Waiting
        | StepState::Going { .. }
        | StepState::Done { .. }
        | StepState::Skipped(_) => None,
    });
    match failed {
        Some(why) if operation.cancel.is_none() => Status::Failed(why),
        Some(_) | None => Status::Cancelled,
    }
}

fn skip_the_rest(next: &mut Operation, why: &str) {
    for step in next.waves.iter_mut().flatten() {
        if step.state == StepState::Waiting {
            step.state = StepState::Skipped(why.to_owned());
        }
    }
}

/// What is cancelled leaves nothing that only makes sense with the rest of it.
fn undo(next: &mut Operation, at: Situation<'_>) {
    match taken_back(next, at.state) {
        Some(what) => {
            next.status = Status::Undoing;
            next.waves.push(vec![Step::waiting(what)]);
        }
        None => end(next, undone(next), at),
    }
}

fn end(next: &mut Operation, status: Status, at: Situation<'_>) {
    next.status = status;
    next.ended_unix_ms = Some(at.unix_ms);
}

fn begin_wave(next: &mut Operation, wave: usize, going: usize, memory: &Memory, at: Situation<'_>) {
    if memory.pauses(next, wave, at.now) {
        next.waits_for = Some(format!("{} s between two waves", next.pause_ms / 1000));
        return;
    }
    if memory.watches(next, wave, WHOLE, at.now)
        && let Some(cell) = moved_in_part(next, at.state)
    {
        next.waits_for = Some(format!("{cell} has moved, and is not redundant yet"));
        return;
    }
    let mut free = AT_ONCE.saturating_sub(going);
    for index in 0..next.waves[wave].len() {
        if free == 0 {
            return;
        }
        if next.waves[wave][index].state != StepState::Waiting {
            continue;
        }
        let may = may_begin(next, &next.waves[wave][index].what, at);
        let late = at.now - memory.since((wave, index), at.now) >= DEADLINE;
        let step = &mut next.waves[wave][index];
        match may {
            Ok(what) => {
                step.what = what;
                step.state = StepState::Going { attempt: 1, since_unix_ms: at.unix_ms };
                free -= 1;
            }
            Err(Held::Over(why)) => step.state = StepState::Skipped(why),
            Err(Held::NotYet(why)) if late => step.state = StepState::Failed(why),
            Err(Held::Up(why) | Held::NotYet(why)) => next.waits_for = Some(why),
        }
    }
}

/// Returns a cell that this operation has moved, and that is not whole again though its old site is there.
fn moved_in_part<'a>(operation: &'a Operation, state: &State) -> Option<&'a CellId> {
    let moved = operation.steps().filter_map(|step| match (&step.what, &step.state) {
        (What::Move(Move { cell, from, .. }), StepState::Done { .. }) => Some((cell, from)),
        _ => None,
    });
    let moved = moved.filter(|(cell, from)| state.site(cell, from).is_reachable());
    let moved = moved.map(|(cell, _)| cell);
    let mut moved = moved.filter_map(|cell| Some((cell, state.cells().get(cell)?)));
    moved.find(|(cell, seen)| !is_redundant(state, cell, seen)).map(|(cell, _)| cell)
}

/// Every step has ended well. Cells may have come back to the region meanwhile.
fn finish(next: &mut Operation, at: Situation<'_>) {
    let Goal::Evacuate(region) = &next.goal else { return end(next, Status::Done, at) };
    let here = at.state.cells().iter().filter(|(_, seen)| {
        let activation = &seen.routed.activation;
        activation.holder() == Some(region)
    });
    let back: Vec<Step> = here
        .map(|(cell, seen)| {
            let (cell, from, to) = (cell.clone(), region.clone(), region.clone());
            let epoch = seen.routed.activation.epoch;
            Step::waiting(What::Move(Move { cell, from, to, epoch }))
        })
        .collect();
    if back.is_empty() {
        end(next, Status::Done, at);
    } else if next.waves.len() >= WAVES_MAX {
        let why = format!("{} cells are active in {region} again and again", back.len());
        end(next, Status::Failed(why), at);
    } else {
        next.waves.push(back);
    }
}

#[cfg(test)]
mod tests;
