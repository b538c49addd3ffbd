//! What an executor alone knows of an operation: how long it has tried each step, and what came of it.
//! Whoever picks the operation up knows nothing of either, and begins to count anew.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::advance::{AT_ONCE, WHOLE};
use super::{Operation, Status, Step, StepState};

/// A step's wave, and its place in it.
pub type Place = (usize, usize);

/// What this executor alone knows of the steps of the wave that goes on.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    tried: BTreeMap<Place, Tried>,
    /// Which wave goes on, and since when.
    wave: Option<(usize, Instant)>,
}

#[derive(Clone, Debug)]
struct Tried {
    /// Since when it could have begun; once it has, since then.
    since: Instant,
    has_begun: bool,
    going_on: bool,
    /// What was answered last, and when.
    answer: Option<(Answer, Instant)>,
}

impl Tried {
    fn new(now: Instant) -> Self {
        Self { since: now, has_begun: false, going_on: false, answer: None }
    }
}

/// What came of carrying a step out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// For a move: since when nobody has served.
    Done(Option<Instant>),
    Refused(String),
}

impl Memory {
    /// Notes that a step is being carried out.
    pub fn begun(&mut self, place: Place, now: Instant) {
        self.tried.entry(place).or_insert(Tried::new(now)).going_on = true;
    }

    /// Notes what came of it.
    pub fn answered(&mut self, place: Place, answer: Answer, now: Instant) {
        if let Some(tried) = self.tried.get_mut(&place) {
            tried.going_on = false;
            tried.answer = Some((answer, now));
        }
    }

    /// Begins to count for the wave that goes on.
    pub fn look(&mut self, operation: &Operation, now: Instant) {
        let wave = operation.wave();
        if let Some(wave) = wave
            && self.wave.is_none_or(|(known, _)| known != wave)
        {
            self.wave = Some((wave, now));
        }
        let Some(wave) = wave else { return };
        let steps = &operation.waves[wave];
        let going = steps.iter().filter(|step| step.is_going()).count();
        let none_may_begin = self.pauses(operation, wave, now)
            || self.watches(operation, wave, WHOLE, now)
            || going >= AT_ONCE;
        for (index, step) in steps.iter().enumerate() {
            let tried = self.tried.entry((wave, index)).or_insert(Tried::new(now));
            let begins = step.is_going() && !tried.has_begun;
            if begins || (step.state == StepState::Waiting && none_may_begin) {
                tried.since = now;
            }
            tried.has_begun |= begins;
        }
    }

    /// Whether it is still watched what the wave before has done. The first wave only marks the
    /// region; between waves of moves there is something to watch.
    pub(super) fn pauses(&self, operation: &Operation, wave: usize, now: Instant) -> bool {
        let pause = Duration::from_millis(operation.pause_ms);
        self.watches(operation, wave, pause, now)
    }

    /// Whether nothing of a wave that comes after a wave of moves has begun, and it has been due for less than
    /// so long.
    pub(super) fn watches(
        &self,
        operation: &Operation,
        wave: usize,
        no_longer: Duration,
        now: Instant,
    ) -> bool {
        let is_untouched = |step: &Step| step.state == StepState::Waiting;
        operation.status == Status::Running
            && wave > 1
            && operation.waves[wave].iter().all(is_untouched)
            && now - self.wave_since(wave, now) < no_longer
    }

    /// Time in which nothing may be begun does not count.
    pub fn held_up(&mut self, now: Instant) {
        for tried in self.tried.values_mut().filter(|tried| !tried.going_on) {
            tried.since = now;
        }
    }

    pub(super) fn since(&self, place: Place, now: Instant) -> Instant {
        self.tried.get(&place).map_or(now, |tried| tried.since)
    }

    pub(super) fn is_going_on(&self, place: Place) -> bool {
        self.tried.get(&place).is_some_and(|tried| tried.going_on)
    }

    /// Returns what was answered last, and when.
    pub(super) fn last(&self, place: Place) -> Option<(&Answer, Instant)> {
        let (answer, at) = self.tried.get(&place)?.answer.as_ref()?;
        Some((answer, *at))
    }

    fn wave_since(&self, wave: usize, now: Instant) -> Instant {
        self.wave.filter(|(known, _)| *known == wave).map_or(now, |(_, since)| since)
    }

    pub(super) fn hold(&self, place: Place, now: Instant) -> Option<Duration> {
        match &self.tried.get(&place)?.answer {
            Some((Answer::Done(since), _)) => {
                since.map(|since| now.saturating_duration_since(since))
            }
            Some((Answer::Refused(_), _)) | None => None,
        }
    }
}
