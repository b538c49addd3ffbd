//! How often one caller may ask: a token bucket each, so that a loop in one script is not felt by the
//! others.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use runtime::Problem;

use super::problem;

/// A page that polls some dozen lists every second is far below.
const RATE: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// What a script may ask at once.
const BURST: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// How many refused writes of one caller a minute are written down, after the first: a loop is not to
/// push out of the audit log what others did.
const REFUSALS: NonZeroU32 = NonZeroU32::new(1).unwrap();
/// Nobody makes so many mistakes by hand in a row.
const REFUSALS_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Every caller's buckets: as many as the file of callers has names.
pub(super) struct Rates {
    requests: DefaultKeyedRateLimiter<String>,
    refusals: DefaultKeyedRateLimiter<String>,
}

impl Default for Rates {
    fn default() -> Self {
        let per_minute = Quota::per_minute(REFUSALS).allow_burst(REFUSALS_BURST);
        Self {
            requests: RateLimiter::keyed(Quota::per_second(RATE).allow_burst(BURST)),
            refusals: RateLimiter::keyed(per_minute),
        }
    }
}

impl Rates {
    /// Whether one more refused write of this caller's is written down.
    pub(super) fn is_noted(&self, name: &str) -> bool {
        self.refusals.check_key(&name.to_owned()).is_ok()
    }

    /// Takes one request of this caller's, or says when there is one again.
    pub(super) fn take(&self, name: &str) -> Result<(), Problem> {
        self.requests
            .check_key(&name.to_owned())
            .map_err(|not_until| too_many(not_until.wait_time_from(DefaultClock::default().now())))
    }
}

/// Returns the problem of a caller who may ask again after a while.
pub(super) fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    problem::TOO_MANY
        .problem()
        .detail(format!("{RATE} requests a second, {BURST} at once, of all under one name"))
        .header("retry-after", seconds.max(1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_refused_writes_pushes_nothing_out_of_the_audit_log() {
        let rates = Rates::default();
        let noted = (0..1000).filter(|_| rates.is_noted("mei")).count();
        assert_eq!(noted, REFUSALS_BURST.get() as usize);
        assert!(rates.is_noted("ling"));
    }

    #[test]
    fn one_caller_waits_and_another_does_not() {
        let rates = Rates::default();
        let refused = (0..=BURST.get() + RATE.get()).find_map(|_| rates.take("mei").err()).unwrap();
        assert_eq!((refused.status, refused.code.as_str()), (429, "too-many-requests"));
        assert_eq!(refused.headers, [("retry-after", "1".to_owned())]);
        assert_eq!(rates.take("ling"), Ok(()));
    }
}
