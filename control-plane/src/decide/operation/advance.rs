//! How an operation goes on: what has come of its steps, and which are next.
//!
//! Everything is read from the record and from the cells, except how long this executor has tried a
//! step and what was answered to it: whoever picks an operation up knows nothing of either, and
//! begins to count anew.

use std::time::Duration;

use tokio::time::Instant;
use topology::{Epoch, Phase, RegionId, SiteId, Spec};

use super::memory::{Answer, Memory, Place};
use super::{Goal, Move, Operation, Status, Step, StepState, What};
use crate::decide::plan::target;
use crate::decide::safety::{self, Proposal};
use crate::decide::{State, switchover};

/// How many cells are moved at once: while one moves its requests wait in the routers, and what waited
/// is sent at once.
pub const AT_ONCE: usize = 4;
/// How long a step may take, or wait for a target that is not ready. A move takes a second; a standby
/// that follows again, some.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// How long a site that is let in again may take until it votes: copying its database takes as long as
/// that is large.
pub const JOINING: Duration = Duration::from_hours(1);
/// Pause before a move is asked for again that was refused.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a cell may have elected its old site again before its move is given up.
const ATTEMPTS: u32 = 3;
/// How many waves there may be: those of the largest plan, and some for cells that came back
/// meanwhile.
const WAVES_MAX: usize = 12;

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
                Found::Again(epoch) => again(&mut next.waves[wave][index], epoch),
            }
        }
    }
    if next.waves == operation.waves {
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

/// Returns the operation as a person cancels it.
#[must_use]
pub fn cancelled(operation: &Operation, who: &str, unix_ms: u64) -> Operation {
    let cancel = super::Cancel { who: who.to_owned(), at_unix_ms: unix_ms };
    Operation { cancel: Some(cancel), ..operation.clone() }
}

/// What a step that is going on has come to.
enum Found {
    Wait,
    /// A person has said so, and may take their time.
    Held(String),
    CarryOut,
    Ended(StepState),
    /// The cell has elected its old site again, under this epoch.
    Again(Epoch),
}

struct Going<'a> {
    operation: &'a Operation,
    place: Place,
    attempt: u32,
    since_unix_ms: u64,
    memory: &'a Memory,
    at: Situation<'a>,
}

impl Going<'_> {
    fn judge(&self, what: &What) -> Found {
        match what {
            What::Drain(region) => self.mark(self.at.state.intent().drained().contains(region)),
            What::Undrain(region) => self.mark(!self.at.state.intent().drained().contains(region)),
            What::Move(planned) => self.moved(planned),
            What::Retire(site) => self.retired(site),
            What::Add(site) => self.added(site),
        }
    }

    /// What is marked leaves as soon as the others have all that it alone had acknowledged.
    fn retired(&self, site: &SiteId) -> Found {
        let Some(seen) = self.at.state.cells().get(&site.cell) else {
            return Found::Ended(StepState::Failed("there is no such cell".to_owned()));
        };
        let activation = &seen.routed.activation;
        if activation.holder() == Some(&site.region) {
            let why = "it was elected before it had left".to_owned();
            return Found::Ended(StepState::Failed(why));
        }
        if activation.is_out(&site.region) {
            return Found::Ended(self.done(None));
        }
        if activation.retired.contains(&site.region) {
            return self.wait_unless_cancelled("it still votes");
        }
        match activation.serving() {
            Some(_) => self.carry_out("the cell's record could not be changed".to_owned()),
            None => self.wait(&format!("the cell is {}", activation.phase)),
        }
    }

    /// What is taken back has been, once the mark is gone: when the site votes again is its own matter.
    fn added(&self, site: &SiteId) -> Found {
        let Some(seen) = self.at.state.cells().get(&site.cell) else {
            return Found::Ended(StepState::Failed("there is no such cell".to_owned()));
        };
        let activation = &seen.routed.activation;
        if activation.retired.contains(&site.region) {
            return match activation.serving() {
                Some(_) => self.carry_out("the cell's record could not be changed".to_owned()),
                None => self.wait(&format!("the cell is {}", activation.phase)),
            };
        }
        let votes =
            activation.voters.contains(&site.region) || activation.holder() == Some(&site.region);
        if votes || self.operation.status == Status::Undoing {
            return Found::Ended(self.done(None));
        }
        self.wait_unless_cancelled("it does not vote yet")
    }

    /// What others bring about is not waited for by who has been told to stop.
    fn wait_unless_cancelled(&self, otherwise: &str) -> Found {
        if self.operation.status == Status::Running && self.operation.cancel.is_some() {
            return Found::Ended(StepState::Failed(format!("cancelled: {otherwise}")));
        }
        self.wait(otherwise)
    }

    fn mark(&self, is_set: bool) -> Found {
        if is_set {
            return Found::Ended(self.done(None));
        }
        self.carry_out("the mark could not be written".to_owned())
    }

    fn moved(&self, planned: &Move) -> Found {
        let Some(seen) = self.at.state.cells().get(&planned.cell) else {
            return Found::Ended(StepState::Failed("there is no such cell".to_owned()));
        };
        let activation = &seen.routed.activation;
        match &activation.phase {
            Phase::Steady { active } if *active == planned.to => {
                let hold = self.memory.hold(self.place, self.at.now);
                Found::Ended(self.done(hold))
            }
            Phase::Steady { active } if *active != planned.from => {
                let why = format!("active in {active} meanwhile");
                Found::Ended(StepState::Skipped(why))
            }
            // The state of before its own answer may be seen after it.
            Phase::Steady { .. } if self.memory.is_going_on(self.place) => Found::Wait,
            Phase::Steady { .. }
                if let Some(broken) = safety::frozen(self.at.state, self.at.now) =>
            {
                Found::Held(format!("frozen: {broken}"))
            }
            Phase::Steady { .. } if activation.epoch == planned.epoch => {
                self.carry_out("it was not begun".to_owned())
            }
            Phase::Steady { active } if self.attempt >= ATTEMPTS => {
                let why = format!("{active} was elected again {ATTEMPTS} times: {}", self.why());
                Found::Ended(StepState::Failed(why))
            }
            Phase::Steady { .. } => Found::Again(activation.epoch),
            Phase::Switching { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => {
                self.wait(&format!("the cell is {}", activation.phase))
            }
        }
    }

    fn done(&self, hold: Option<Duration>) -> StepState {
        let took_ms = self.at.unix_ms.saturating_sub(self.since_unix_ms);
        let hold_ms = hold.map(|hold| u64::try_from(hold.as_millis()).unwrap_or(u64::MAX));
        StepState::Done { took_ms, hold_ms }
    }

    fn carry_out(&self, otherwise: String) -> Found {
        if self.memory.is_going_on(self.place) {
            return Found::Wait;
        }
        match self.memory.last(self.place) {
            // What was done may not be seen yet.
            Some((_, at)) if self.at.now - at < AGAIN => Found::Wait,
            Some((Answer::Refused(why), _)) if self.is_late() => {
                Found::Ended(StepState::Failed(why.clone()))
            }
            Some((Answer::Done(_), _)) | None if self.is_late() => {
                Found::Ended(StepState::Failed(otherwise))
            }
            Some(_) | None => Found::CarryOut,
        }
    }

    fn wait(&self, otherwise: &str) -> Found {
        if !self.is_late() {
            return Found::Wait;
        }
        Found::Ended(StepState::Failed(format!(
            "no end after {} s: {otherwise}",
            self.deadline().as_secs()
        )))
    }

    fn why(&self) -> &str {
        match self.memory.last(self.place) {
            Some((Answer::Refused(why), _)) => why,
            Some((Answer::Done(_), _)) | None => "nobody knows why",
        }
    }

    fn is_late(&self) -> bool {
        self.at.now - self.memory.since(self.place, self.at.now) >= self.deadline()
    }

    fn deadline(&self) -> Duration {
        let (wave, index) = self.place;
        match self.operation.waves[wave][index].what {
            What::Add(_) => JOINING,
            What::Drain(_) | What::Undrain(_) | What::Move(_) | What::Retire(_) => DEADLINE,
        }
    }
}

fn again(step: &mut Step, epoch: Epoch) {
    if let What::Move(planned) = &mut step.what {
        planned.epoch = epoch;
    }
    if let StepState::Going { attempt, .. } = &mut step.state {
        *attempt += 1;
    }
}

/// Begins what comes next, nothing of the record having ended just now.
fn begin(next: &mut Operation, memory: &Memory, at: Situation<'_>) {
    let going = next.steps().filter(|step| step.is_going()).count();
    let stops = next.status == Status::Running && next.cancel.is_some();
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
        let why = if stops { "cancelled" } else { "an earlier step failed" };
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

/// Whether it takes back what it has done when it fails. A site that is half in or half out is what
/// nobody wanted; of cells that were moved some are better than none.
fn takes_back(operation: &Operation) -> bool {
    operation.status == Status::Running && operation.goal.site().is_some()
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

/// What is cancelled leaves nothing that only makes sense with the rest of it: moved cells stay, and
/// a region that it drained is a target again. A region that was to be let in stays so: cells may be
/// active there already. A site is in or out as it was before.
fn undo(next: &mut Operation, at: Situation<'_>) {
    let back = next.steps().find_map(|step| match (&step.what, &step.state) {
        (_, StepState::Waiting | StepState::Skipped(_)) => None,
        (What::Drain(region), _) if at.state.intent().drained().contains(region) => {
            Some(What::Undrain(region.clone()))
        }
        (What::Retire(site), _) => Some(What::Add(site.clone())),
        (What::Add(site), _) => Some(What::Retire(site.clone())),
        (What::Drain(_) | What::Undrain(_) | What::Move(_), _) => None,
    });
    match back {
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

/// Why a step does not begin.
enum Held {
    /// It is no longer needed.
    Over(String),
    /// A person has said so, and may take their time.
    Up(String),
    /// It will be failed if that goes on.
    NotYet(String),
}

/// Returns the step as it may begin now. A move that was planned under another epoch is planned anew.
fn may_begin(operation: &Operation, what: &What, at: Situation<'_>) -> Result<What, Held> {
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
        What::Drain(_) | What::Undrain(_) => return Ok(what.clone()),
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
        Goal::Restore(region) => active == region,
        Goal::Drain(_) | Goal::Undrain(_) | Goal::RetireSite(_) | Goal::AddSite(_) => true,
    };
    if done {
        return Err(Held::Over(format!("active in {active} already")));
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
    // Each alone may have room, and all of them none.
    let going: Vec<Move> = operation
        .steps()
        .filter(|step| step.is_going())
        .filter_map(|step| match &step.what {
            What::Move(planned) => Some(planned.clone()),
            What::Drain(_) | What::Undrain(_) | What::Retire(_) | What::Add(_) => None,
        })
        .collect();
    let proposal = Proposal { drains: goal.drains(), undrains: None, moves: &moves, going: &going };
    let mut broken = safety::check(proposal, state, spec, now);
    broken.retain(|broken| !broken.is_overridden(&asked.override_rules));
    match broken.first() {
        Some(broken) => Err(Held::NotYet(broken.to_string())),
        None => Ok(What::Move(planned)),
    }
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
