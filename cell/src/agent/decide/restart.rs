//! When a service that ended is started again.

use std::time::Duration;

/// First pause; a service that ends once is back before anybody notices.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause: a service that crashes in a loop is held back, and still tried.
const LONGEST: Duration = Duration::from_secs(5);
/// A service that ran this long did not crash in a loop.
const HEALTHY: Duration = Duration::from_secs(30);

/// Counts how often a service ended soon after its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restarts {
    quick_ends: u32,
}

impl Restarts {
    /// The service ended after running for `ran`; returns how long to wait before the next start.
    pub(crate) fn ended(&mut self, ran: Duration) -> Duration {
        self.quick_ends = if ran >= HEALTHY { 0 } else { self.quick_ends.saturating_add(1) };
        let doublings = self.quick_ends.saturating_sub(1).min(16);
        FIRST.saturating_mul(1 << doublings).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_held_back_and_a_long_run_forgives() {
        let mut restarts = Restarts::default();
        let soon = Duration::from_secs(1);
        let pauses: Vec<u128> = (0..8).map(|_| restarts.ended(soon).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(restarts.ended(HEALTHY), FIRST);
    }
}
