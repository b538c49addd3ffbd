//! What users do about a request that was not answered well: ask again, a few times, after a pause that is
//! different for each, and all together no more often than a budget allows.
//!
//! The same request is asked again, under the same `Idempotency-Key`; what came of it is what its last try
//! came to, unless an earlier one may have done it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::drill::Retries;
use crate::history::{Failure, Outcome};

/// Too many requests: the cell asks for time.
const TOO_MANY: u16 = 429;
/// An earlier try is still at it.
const CONFLICT: u16 = 409;

/// The retries of one load.
pub(super) struct Retrying {
    retries: Retries,
    seed: u64,
    tokens: Mutex<Tokens>,
}

impl Retrying {
    pub(super) fn new(retries: Retries, seed: u64) -> Self {
        Self { retries, seed, tokens: Mutex::new(Tokens { left: f64::from(retries.saved) }) }
    }

    /// Takes note of a new request.
    pub(super) fn asked(&self) {
        self.with(|tokens| tokens.earn(self.retries));
    }

    /// Returns after which pause a request is asked again that has been asked so often, and whose user waits
    /// for so long still; `None` if it is not. One whose time is over by then costs the others nothing.
    pub(super) fn again(
        &self,
        outcome: &Outcome,
        number: u32,
        tries: u32,
        left: Duration,
    ) -> Option<Duration> {
        let seed = self.seed ^ (u64::from(number) << 8) ^ u64::from(tries);
        let share = StdRng::seed_from_u64(seed).random();
        let pause = pause(self.retries, outcome, tries, share).filter(|pause| *pause < left)?;
        self.with(Tokens::take).then_some(pause)
    }

    fn with<T>(&self, what: impl FnOnce(&mut Tokens) -> T) -> T {
        what(&mut self.tokens.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What may be spent on retries: each request earns a share of one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tokens {
    left: f64,
}

impl Tokens {
    fn earn(&mut self, Retries { budget, saved, .. }: Retries) {
        self.left = (self.left + budget).min(f64::from(saved));
    }

    fn take(&mut self) -> bool {
        let has_one = self.left >= 1.0;
        if has_one {
            self.left -= 1.0;
        }
        has_one
    }
}

/// Returns the pause before the next try: up to a time that doubles with each, `share` of it.
fn pause(retries: Retries, outcome: &Outcome, tries: u32, share: f64) -> Option<Duration> {
    if tries >= retries.tries || !is_worth_it(outcome) {
        return None;
    }
    let doubled = retries.backoff * 2_u32.saturating_pow(tries.saturating_sub(1));
    Some(doubled.mul_f64(share))
}

/// Whether another try may come to something else.
fn is_worth_it(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok(_) => false,
        Outcome::Fail(failure) | Outcome::Unknown(failure) => match failure {
            Failure::Refused | Failure::Reset | Failure::Timeout => true,
            Failure::Status { status, .. } => {
                *status >= 500 || matches!(*status, TOO_MANY | CONFLICT)
            }
            Failure::Dropped | Failure::Malformed => false,
        },
    }
}

/// Returns what came of a request whose last try came to this. An earlier one that nobody knows the end of
/// may still have done it.
pub(super) fn settled(last: Outcome, is_uncertain: bool) -> Outcome {
    match &last {
        Outcome::Fail(failure) if is_uncertain => Outcome::Unknown(failure.clone()),
        Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Effect;
    use crate::history::fixture::ms;

    const RETRIES: Retries =
        Retries { tries: 3, backoff: Duration::from_millis(100), budget: 0.25, saved: 10 };

    /// Longer than any pause.
    const LEFT: Duration = Duration::from_secs(10);

    #[test]
    fn pauses_double_and_end_after_as_many_tries_as_were_asked_for() {
        let refused = Outcome::Fail(Failure::Refused);
        let at = |tries, share| pause(RETRIES, &refused, tries, share);
        assert_eq!([at(1, 1.0), at(2, 1.0), at(3, 1.0)], [Some(ms(100)), Some(ms(200)), None]);
        assert_eq!([at(1, 0.0), at(2, 0.5)], [Some(ms(0)), Some(ms(100))]);
    }

    #[test]
    fn only_what_may_come_to_something_else_is_asked_again() {
        let status = |status| Failure::Status { status, code: String::new(), says_when: false };
        check(&Outcome::Unknown(Failure::Timeout), true);
        check(&Outcome::Unknown(Failure::Reset), true);
        check(&Outcome::Fail(status(503)), true);
        check(&Outcome::Unknown(status(409)), true);
        check(&Outcome::Fail(status(429)), true);
        check(&Outcome::Fail(status(404)), false);
        check(&Outcome::Fail(status(412)), false);
        check(&Outcome::Fail(Failure::Dropped), false);
        check(&Outcome::Ok(Effect::Overtaken { version: 2 }), false);
    }

    #[test]
    fn all_together_are_asked_again_no_more_often_than_the_budget_allows() {
        let retrying = Retrying::new(RETRIES, 1);
        let refused = Outcome::Fail(Failure::Refused);
        let asked = 1000;
        let mut again = 0_u32;
        for number in 0..asked {
            retrying.asked();
            let mut tries = 1;
            while retrying.again(&refused, number, tries, LEFT).is_some() {
                tries += 1;
            }
            again += tries - 1;
        }
        assert_eq!(again, 259, "a quarter of 1000, and what was saved before");
    }

    #[test]
    fn a_request_whose_time_is_over_before_the_pause_is_spends_nothing_of_the_budget() {
        let retrying = Retrying::new(RETRIES, 1);
        let refused = Outcome::Fail(Failure::Refused);
        let again = |number, left| retrying.again(&refused, number, 1, left).is_some();
        assert!((0..100).all(|number| !again(number, ms(0))));
        let saved = (0..100).filter(|number| again(*number, LEFT)).count();
        assert_eq!(saved, 10, "all that was saved is still there");
    }

    #[test]
    fn no_two_wait_alike_and_the_same_seed_waits_alike() {
        let pauses = |seed| {
            let retrying = Retrying::new(RETRIES, seed);
            let refused = Outcome::Fail(Failure::Refused);
            let again = |number| retrying.again(&refused, number, 1, LEFT).unwrap();
            (0..8).map(again).collect::<Vec<_>>()
        };
        let one = pauses(7);
        assert_eq!(one, pauses(7));
        assert_ne!(one, pauses(8));
        let mut different = one.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), one.len());
    }

    #[test]
    fn a_refusal_after_a_try_that_may_have_done_it_proves_nothing() {
        let refused = || Outcome::Fail(Failure::Refused);
        assert_eq!(settled(refused(), false), refused());
        assert_eq!(settled(refused(), true), Outcome::Unknown(Failure::Refused));
        let done = || Outcome::Ok(Effect::Message { seq: 1 });
        assert_eq!(settled(done(), true), done());
    }

    #[track_caller]
    fn check(outcome: &Outcome, expected: bool) {
        assert_eq!(pause(RETRIES, outcome, 1, 0.5).is_some(), expected, "{outcome:?}");
    }
}
