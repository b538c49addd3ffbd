//! When a cell that answers, and fails, is left alone for a while.
//!
//! ```text
//!            half of the last ten seconds' answers failed
//!   Closed ────────────────────────────────────────────────▶ Open ◀───────┐
//!     ▲                                                        │ pause    │ a trial failed:
//!     │          three trials in a row were answered           ▼          │ twice the pause
//!     └──────────────────────────────────────────────────── HalfOpen ─────┘
//! ```
//!
//! A fail-over is none of its business, nor what a site at risk refuses: a site that refuses by
//! type, or that cannot be reached while its requests may still be held, has not failed here; and a
//! later epoch begins with a clean slate.
//! What counts is a plain 5xx, a site that stays silent, and a hold that was in vain because the
//! site could not be reached.
//!
//! Times are durations since the router started.

use std::time::Duration;

use topology::Epoch;
use topology::spec::edge::Breaker as Policy;

/// Seconds that are looked at together.
const WINDOW: usize = 10;
/// Trials in a row that must be answered.
const TRIALS: u32 = 3;
/// One trial in this time, however long each takes: a site that hangs gets no second flood.
const TRIAL_EVERY: Duration = Duration::from_millis(500);
/// So many pauses follow a trial that failed: a trial in that time is no load, and the users of a cell that
/// has recovered by itself wait for the next.
const PAUSES: u32 = 2;

/// What a request to a cell's active site came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed,
}

/// One cell's breaker.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    epoch: Epoch,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed { window: Window },
    Open { until: Duration },
    HalfOpen { next: Duration, answered: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { window: Window::default() }
    }
}

impl Breaker {
    /// Lets a request go to the site of this epoch, or says how long until one may.
    pub(crate) fn admit(&mut self, epoch: Epoch, now: Duration) -> Result<(), Duration> {
        self.follow(epoch);
        match &mut self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } if now < *until => Err(until.saturating_sub(now)),
            State::Open { .. } => {
                self.state = State::HalfOpen { next: now + TRIAL_EVERY, answered: 0 };
                Ok(())
            }
            State::HalfOpen { next, .. } if now < *next => Err(next.saturating_sub(now)),
            State::HalfOpen { next, .. } => {
                *next = now + TRIAL_EVERY;
                Ok(())
            }
        }
    }

    /// Takes in what a request came to that was sent under this epoch.
    pub(crate) fn saw(&mut self, epoch: Epoch, outcome: Outcome, policy: &Policy, now: Duration) {
        if epoch < self.epoch {
            return;
        }
        self.follow(epoch);
        match (&mut self.state, outcome) {
            (State::Closed { window }, _) => {
                if window.saw(outcome, now).is_failing(policy) {
                    self.state = State::Open { until: now + policy.pause };
                }
            }
            // Sent before it was left alone; nothing new.
            (State::Open { .. }, _) => {}
            (State::HalfOpen { answered, .. }, Outcome::Answered) => {
                *answered += 1;
                if *answered >= TRIALS {
                    self.state = State::default();
                }
            }
            (State::HalfOpen { .. }, Outcome::Failed) => {
                self.state = State::Open { until: now + policy.pause * PAUSES };
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    fn follow(&mut self, epoch: Epoch) {
        if epoch > self.epoch {
            *self = Self { epoch, state: State::default() };
        }
    }
}

/// The outcomes of the last seconds, one entry for each.
#[derive(Debug, Default)]
struct Window {
    seconds: [Second; WINDOW],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: u64,
    answered: u32,
    failed: u32,
}

impl Window {
    /// Adds an outcome, and returns the sum.
    fn saw(&mut self, outcome: Outcome, now: Duration) -> Second {
        let number = now.as_secs();
        let length = WINDOW as u64;
        let index = usize::try_from(number % length).unwrap_or(0);
        let second = &mut self.seconds[index];
        if second.number != number {
            *second = Second { number, ..Second::default() };
        }
        match outcome {
            Outcome::Answered => second.answered += 1,
            Outcome::Failed => second.failed += 1,
        }
        let recent = self.seconds.iter().filter(|second| second.number + length > number);
        recent.fold(Second::default(), |sum, second| Second {
            number,
            answered: sum.answered + second.answered,
            failed: sum.failed + second.failed,
        })
    }
}

impl Second {
    fn is_failing(self, policy: &Policy) -> bool {
        let all = self.answered.saturating_add(self.failed);
        let share = u64::from(all) * u64::from(policy.failed_percent);
        all >= policy.requests && self.failed > 0 && u64::from(self.failed) * 100 >= share
    }
}

#[cfg(test)]
mod tests;
