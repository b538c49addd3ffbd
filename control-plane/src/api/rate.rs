//! How often one caller may ask: a token bucket each, so that a loop in one script is not felt by the
//! others.

use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use runtime::Problem;

use super::problem;

/// A page that polls some dozen lists every second is far below.
const RATE: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// What a script may ask at once.
const BURST: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// Every caller's bucket: as many as the file of callers has names.
pub(super) struct Rates(DefaultKeyedRateLimiter<String>);

impl Default for Rates {
    fn default() -> Self {
        Self(RateLimiter::keyed(Quota::per_second(RATE).allow_burst(BURST)))
    }
}

impl Rates {
    /// Takes one request of this caller's, or says when there is one again.
    pub(super) fn take(&self, name: &str) -> Result<(), Problem> {
        self.0.check_key(&name.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            problem::TOO_MANY
                .problem()
                .detail(format!("{RATE} requests a second, {BURST} at once, of all under one name"))
                .header("retry-after", seconds.max(1).to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_waits_and_another_does_not() {
        let rates = Rates::default();
        let refused = (0..=BURST.get() + RATE.get()).find_map(|_| rates.take("mei").err()).unwrap();
        assert_eq!((refused.status, refused.code.as_str()), (429, "too-many-requests"));
        assert_eq!(refused.headers, [("retry-after", "1".to_owned())]);
        assert_eq!(rates.take("ling"), Ok(()));
    }
}
