//! What a step that is going on has come to.

mod elected;

use std::time::Duration;

use topology::{Epoch, Phase, RegionId, SiteId};

pub(super) use self::elected::has_begun;
use super::may_begin::{Held, may_begin};
use super::{DEADLINE, Situation};
use crate::decide::operation::memory::{Answer, Memory, Place};
use crate::decide::operation::{Goal, Move, Operation, Status, StepState, What};
use crate::decide::safety;

/// How long a site that is let in again may take until it votes: copying its database takes as long as
/// that is large.
pub const JOINING: Duration = Duration::from_hours(1);
/// Pause before a move is asked for again that was refused.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a cell is moved that is then active elsewhere, in its old site or a third one, before its move
/// is given up.
const ATTEMPTS: u32 = 3;

/// What a step that is going on has come to.
pub(super) enum Found {
    Wait,
    /// The same, and people are told for what.
    Held(String),
    CarryOut,
    Ended(StepState),
    /// It was cancelled before it began, or before it would have begun once more.
    LeftOut,
    /// The cell has elected its old site again, or is to come home from another one: it is moved from where it
    /// is now.
    Again(What),
    /// An election that was asked for has been won.
    Elected(RegionId, StepState),
}

pub(super) struct Going<'a> {
    pub(super) operation: &'a Operation,
    pub(super) place: Place,
    pub(super) attempt: u32,
    pub(super) since_unix_ms: u64,
    pub(super) memory: &'a Memory,
    pub(super) at: Situation<'a>,
}

impl Going<'_> {
    pub(super) fn judge(&self, what: &What) -> Found {
        match what {
            What::Drain(region) => self.mark(self.at.state.intent().drained().contains(region)),
            What::Undrain(region) => self.mark(!self.at.state.intent().drained().contains(region)),
            What::Move(planned) => self.moved(planned),
            What::Elect(election) => self.elected(election),
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
            return Found::Ended(self.done());
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
            return Found::Ended(self.done());
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
            return Found::Ended(self.done());
        }
        self.carry_out("the mark could not be written".to_owned())
    }

    /// A cell that one asked to move is tried once: whoever asked is told, and may ask again. One of many
    /// is tried again, and what has left by itself need not be moved.
    fn moved(&self, planned: &Move) -> Found {
        let alone = matches!(self.operation.goal, Goal::Switchover(_));
        let attempts = if alone { 1 } else { ATTEMPTS };
        let Some(seen) = self.at.state.cells().get(&planned.cell) else {
            return Found::Ended(StepState::Failed("there is no such cell".to_owned()));
        };
        let activation = &seen.routed.activation;
        if alone
            && activation.serving() != Some(&planned.to)
            && let Some((Answer::Refused(why), _)) = self.memory.last(self.place)
        {
            return Found::Ended(StepState::Failed(why.clone()));
        }
        match &activation.phase {
            Phase::Steady { active } if *active == planned.to => {
                let hold = self.memory.hold(self.place, self.at.now);
                Found::Ended(self.done_under(activation.epoch, hold))
            }
            Phase::Steady { active } if *active != planned.from && !self.brings_home() => {
                let why = format!("active in {active} meanwhile");
                let state = if alone { StepState::Failed } else { StepState::Skipped };
                Found::Ended(state(why))
            }
            // The state of before its own answer may be seen after it.
            Phase::Steady { .. } if self.memory.is_going_on(self.place) => Found::Wait,
            Phase::Steady { .. }
                if self.operation.cancel.is_some()
                    && self.is_left_out(alone, activation.epoch > planned.epoch) =>
            {
                Found::LeftOut
            }
            Phase::Steady { .. }
                if let Some(broken) = safety::frozen(self.at.state, self.at.now) =>
            {
                Found::Held(format!("frozen: {broken}"))
            }
            Phase::Steady { .. } if activation.epoch == planned.epoch => {
                self.carry_out("it was not begun".to_owned())
            }
            Phase::Steady { active } if self.attempt >= attempts => {
                let found = if alone {
                    format!("{active} was elected again")
                } else {
                    format!("active in {active} after {attempts} attempts")
                };
                Found::Ended(StepState::Failed(format!("{found}: {}", self.why())))
            }
            Phase::Steady { .. } => self.again(planned),
            Phase::Switching { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => {
                self.wait(&format!("the cell is {}", activation.phase))
            }
        }
    }

    /// Whether a move is not begun, or not once more, that nobody carries out and whose operation is cancelled.
    /// One of many that its record says is begun is brought to its end, but for what a freeze holds, or what was
    /// refused. One alone that has interrupted users is told as what came of it.
    fn is_left_out(&self, alone: bool, has_begun: bool) -> bool {
        match (alone, has_begun) {
            (true, has_begun) => !has_begun,
            (false, true) => true,
            (false, false) => {
                let last = self.memory.last(self.place);
                let was_refused = matches!(last, Some((Answer::Refused(_), _)));
                was_refused || safety::frozen(self.at.state, self.at.now).is_some()
            }
        }
    }

    /// What is begun once more is checked as what begins, and waits no longer than that.
    fn again(&self, planned: &Move) -> Found {
        match may_begin(self.operation, &What::Move(planned.clone()), self.at) {
            Ok(what) => Found::Again(what),
            Err(Held::Over(why)) => Found::Ended(StepState::Skipped(why)),
            Err(Held::NotYet(why)) if self.is_late() => Found::Ended(StepState::Failed(why)),
            Err(Held::Up(why) | Held::NotYet(why)) => Found::Held(why),
        }
    }

    /// Whether a cell is wanted at home, wherever else it has been elected meanwhile.
    fn brings_home(&self) -> bool {
        matches!(self.operation.goal, Goal::Restore(_))
    }

    fn done(&self) -> StepState {
        StepState::Done { took_ms: self.took_ms(), hold_ms: None, epoch: None }
    }

    fn done_under(&self, epoch: Epoch, hold: Option<Duration>) -> StepState {
        let hold_ms = hold.map(|hold| u64::try_from(hold.as_millis()).unwrap_or(u64::MAX));
        StepState::Done { took_ms: self.took_ms(), hold_ms, epoch: Some(epoch) }
    }

    fn took_ms(&self) -> u64 {
        self.at.unix_ms.saturating_sub(self.since_unix_ms)
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
            What::Drain(_)
            | What::Undrain(_)
            | What::Move(_)
            | What::Elect(_)
            | What::Retire(_) => DEADLINE,
        }
    }
}
