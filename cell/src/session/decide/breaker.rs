//! Whether a neighbour that has been failing is asked again.
//!
//! ```text
//!          FAILURES in a row               pause over
//! Closed ─────────────────────▶ Open ─────────────────▶ Probing (one call)
//!   ▲                             ▲                        │     │
//!   │                             └───────── failure ──────┘     │
//!   └────────────────────────────────────────────── success ─────┘
//! ```

use std::time::Duration;

use runtime::clock::BootTime;

/// Failures in a row after which nobody waits for the neighbour any more.
pub const FAILURES: u32 = 5;
/// How long it is then left alone: a service is restarted in about a second.
pub const PAUSE: Duration = Duration::from_secs(2);
/// A probe nobody reported on, its request having been dropped, is forgotten after this long.
const PROBE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    Closed { failures: u32 },
    Open { until: BootTime },
    Probing { since: BootTime },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

impl Breaker {
    /// Returns the breaker after somebody wants to call at `now`, and whether they may.
    #[must_use]
    pub fn asked(self, now: BootTime) -> (Self, bool) {
        match self {
            Self::Closed { .. } => (self, true),
            Self::Open { until } if now < until => (self, false),
            Self::Probing { since } if now < since + PROBE => (self, false),
            Self::Open { .. } | Self::Probing { .. } => (Self::Probing { since: now }, true),
        }
    }

    /// Returns the breaker after a call has ended.
    #[must_use]
    pub fn ended(self, outcome: Outcome, now: BootTime) -> Self {
        match (self, outcome) {
            (Self::Closed { .. } | Self::Probing { .. }, Outcome::Success) => Self::default(),
            (Self::Closed { failures }, Outcome::Failure) if failures + 1 < FAILURES => {
                Self::Closed { failures: failures + 1 }
            }
            (Self::Closed { .. } | Self::Probing { .. }, Outcome::Failure) => {
                Self::Open { until: now + PAUSE }
            }
            // A call from before it opened: only the probe may close it.
            (Self::Open { .. }, Outcome::Success | Outcome::Failure) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step is what happens and the second it happens in: `ok` and `fail` end a call,
    /// `may` and `not` ask for one and say what is answered.
    #[track_caller]
    fn check(story: &str) {
        let mut breaker = Breaker::default();
        for step in story.split(", ") {
            let (what, second) = step.split_once('@').unwrap();
            let now = BootTime::from_nanos(second.parse::<u64>().unwrap() * 1_000_000_000);
            match what {
                "ok" => breaker = breaker.ended(Outcome::Success, now),
                "fail" => breaker = breaker.ended(Outcome::Failure, now),
                "may" | "not" => {
                    let (next, may) = breaker.asked(now);
                    assert_eq!(may, what == "may", "{step} in {story}");
                    breaker = next;
                }
                other => panic!("{other} in {story}"),
            }
        }
    }

    #[test]
    fn failures_in_a_row_open_it() {
        check("fail@1, fail@1, fail@1, fail@1, may@1, fail@1, not@1");
    }

    #[test]
    fn one_success_in_between_starts_the_count_again() {
        check("fail@1, fail@1, fail@1, fail@1, ok@1, fail@1, may@1");
    }

    #[test]
    fn after_the_pause_one_call_is_let_through() {
        check("fail@1, fail@1, fail@1, fail@1, fail@1, not@2, may@3, not@3");
    }

    #[test]
    fn the_probe_decides() {
        check("fail@1, fail@1, fail@1, fail@1, fail@1, may@3, ok@3, may@3, may@3");
        check("fail@1, fail@1, fail@1, fail@1, fail@1, may@3, fail@3, not@4, may@5");
    }

    #[test]
    fn a_late_success_from_before_does_not_close_it() {
        check("fail@1, fail@1, fail@1, fail@1, fail@1, ok@1, not@1");
    }

    #[test]
    fn a_probe_that_never_ended_is_forgotten() {
        check("fail@1, fail@1, fail@1, fail@1, fail@1, may@3, not@4, may@5");
    }
}
