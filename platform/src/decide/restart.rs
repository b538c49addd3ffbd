//! When a process that has exited is started again.

use std::time::Duration;

use runtime::clock::BootTime;
use topology::wire::fleet::Hold;

/// The first pause: long enough that a port is free again.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause: a cause that has gone away is noticed soon.
const LONGEST: Duration = Duration::from_secs(5);
/// A process that lived this long has started well.
const SETTLED: Duration = Duration::from_secs(30);

/// The pauses of one process.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl Backoff {
    /// Returns the pause after a process exited that had lived for `lived`.
    pub(crate) fn after_exit(&mut self, lived: Duration) -> Duration {
        if lived >= SETTLED {
            self.next = SHORTEST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

/// Returns whether a process that is due at `due` may be started: a hold keeps it down until its
/// time, and does not count afterwards.
pub(crate) fn may_start(due: BootTime, hold: Option<&Hold>, now: BootTime) -> bool {
    now >= due && hold.is_none_or(|hold| BootTime::from_nanos(hold.until) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> =
            (0..8).map(|_| backoff.after_exit(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn a_process_that_settled_starts_from_the_shortest_pause() {
        let mut backoff = Backoff::default();
        for _ in 0..8 {
            backoff.after_exit(Duration::from_secs(29));
        }
        assert_eq!(backoff.after_exit(Duration::from_secs(30)), SHORTEST);
        assert_eq!(backoff.after_exit(Duration::ZERO), SHORTEST * 2);
    }

    #[test]
    fn nothing_starts_before_it_is_due() {
        assert!(!may_start(at(200), None, at(199)));
        assert!(may_start(at(200), None, at(200)));
    }

    #[test]
    fn a_hold_keeps_a_process_down_until_its_time() {
        let hold = Hold { until: at(500).as_nanos(), reason: "drill".to_owned() };
        assert!(!may_start(at(200), Some(&hold), at(499)));
        assert!(may_start(at(200), Some(&hold), at(500)));
    }

    #[test]
    fn a_hold_of_the_past_does_not_count() {
        let hold = Hold { until: 0, reason: "drill".to_owned() };
        assert!(may_start(at(200), Some(&hold), at(200)));
        assert!(!may_start(at(200), Some(&hold), at(100)));
    }

    fn at(millis: u64) -> BootTime {
        BootTime::from_nanos(millis * 1_000_000)
    }
}
