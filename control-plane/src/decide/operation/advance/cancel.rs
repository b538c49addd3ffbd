//! What cancelling an operation comes to, step by step.
//!
//! Nothing is decided here: a step that goes on is judged as its executor judges it, and what is taken back is
//! found as [`advance`](super::advance) finds it. What an executor alone knows is not known here: a move that
//! it has begun at this moment is told as left out as long as its cell does not show it, and one of many that
//! was refused, which is left out, as brought to its end.

use super::going::{Found, Going};
use super::{Situation, cancelled};
use crate::decide::State;
use crate::decide::operation::memory::{Memory, Place};
use crate::decide::operation::{Operation, Step, StepState, What};

/// What becomes of a step once its operation is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not begun.
    LeftOut,
    /// It goes on, and what comes of it stays.
    BroughtToItsEnd,
    /// Whatever has come of it by then is taken back.
    TakenBack,
}

/// Returns what becomes of the steps that have not come to an end that stays. Nothing changes for an operation
/// that has ended, is cancelled already, or takes back what it has done.
#[must_use]
pub fn fates(operation: &Operation, at: Situation<'_>) -> Vec<(Place, Fate)> {
    let cancelled = cancelled(operation, "", at.unix_ms);
    if cancelled == *operation {
        return Vec::new();
    }
    let operation = cancelled;
    let steps = operation.waves.iter().enumerate().flat_map(|(wave, steps)| {
        steps.iter().enumerate().map(move |(index, step)| ((wave, index), step))
    });
    steps.filter_map(|(place, step)| Some((place, fate(&operation, place, step, at)?))).collect()
}

fn fate(operation: &Operation, place: Place, step: &Step, at: Situation<'_>) -> Option<Fate> {
    if back(step, at.state).is_some() {
        return Some(Fate::TakenBack);
    }
    let (attempt, since_unix_ms) = match step.state {
        StepState::Waiting => return Some(Fate::LeftOut),
        StepState::Going { attempt, since_unix_ms } => (attempt, since_unix_ms),
        StepState::Done { .. } | StepState::Skipped(_) | StepState::Failed(_) => return None,
    };
    let memory = &Memory::default();
    let going = Going { operation, place, attempt, since_unix_ms, memory, at };
    Some(match going.judge(&step.what) {
        Found::LeftOut => Fate::LeftOut,
        Found::Wait
        | Found::Held(_)
        | Found::CarryOut
        | Found::Ended(_)
        | Found::Again(_)
        | Found::Elected(..) => Fate::BroughtToItsEnd,
    })
}

/// Returns what takes back what only makes sense with the rest of the operation: moved cells stay, and a region
/// that it drained is a target again. A region that was to be let in stays so: cells may be active there
/// already. A site is in or out as it was before.
pub(super) fn taken_back(operation: &Operation, state: &State) -> Option<What> {
    operation.steps().find_map(|step| back(step, state))
}

/// What still goes on counts as it will be: it is brought to its end before anything is taken back.
fn back(step: &Step, state: &State) -> Option<What> {
    match (&step.what, &step.state) {
        (_, StepState::Waiting | StepState::Skipped(_))
        | (What::Undrain(_) | What::Move(_) | What::Elect(_), _) => None,
        (What::Drain(region), _) => (step.is_going() || state.intent().drained().contains(region))
            .then(|| What::Undrain(region.clone())),
        (What::Retire(site), _) => Some(What::Add(site.clone())),
        (What::Add(site), _) => Some(What::Retire(site.clone())),
    }
}
