//! What an executor alone knows of an operation: how long it has tried each step, and what came of it.
//! Whoever picks the operation up knows nothing of either, and begins to count anew.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Operation;

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
    since: Instant,
    going_on: bool,
    /// What was answered last, and when.
    answer: Option<(Answer, Instant)>,
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
        let fresh = Tried { since: now, going_on: false, answer: None };
        self.tried.entry(place).or_insert(fresh).going_on = true;
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
        for place in 0..operation.waves[wave].len() {
            let fresh = Tried { since: now, going_on: false, answer: None };
            self.tried.entry((wave, place)).or_insert(fresh);
        }
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

    pub(super) fn wave_since(&self, wave: usize, now: Instant) -> Instant {
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
