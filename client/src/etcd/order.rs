//! In which order members are asked.

use std::time::Duration;

use tokio::time::Instant;

/// The first of the endpoints is the nearest.
pub(super) const NEAREST: usize = 0;
/// How long a member that did not answer is left out as long as there are others: half of what an
/// observer bears a silent lease.
const SILENCE: Duration = Duration::from_secs(1);
/// How long after it failed the nearest member is asked first again.
const RETURN: Duration = Duration::from_secs(10);

/// How a member failed last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) at: Instant,
    /// It refused nothing: there was no answer at all.
    pub(super) was_silent: bool,
}

/// The nearest first, or the one that answered last while the nearest is no good. One that was silent
/// lately is not asked at all as long as there are others: with a region cut off, every way around
/// would wait for it.
pub(super) fn order(failures: &[Option<Failure>], preferred: usize, now: Instant) -> Vec<usize> {
    let failed_within = |index: usize, time| {
        failures[index].filter(|failure| now.saturating_duration_since(failure.at) < time)
    };
    let first = if failed_within(NEAREST, RETURN).is_some() { preferred } else { NEAREST };
    let turns = (0..failures.len()).map(|turn| (first + turn) % failures.len());
    let (silent, others): (Vec<_>, Vec<_>) =
        turns.partition(|index| failed_within(*index, SILENCE).is_some_and(|last| last.was_silent));
    if others.is_empty() { silent } else { others }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_first_again_after_a_while() {
        let now = Instant::now() + RETURN;
        assert_eq!(order(&[None; 3], 2, now), [0, 1, 2]);
        assert_eq!(order(&[failed(now, 9_999, false), None, None], 2, now), [2, 0, 1]);
        assert_eq!(order(&[failed(now, 10_000, false), None, None], 2, now), [0, 1, 2]);
    }

    #[test]
    fn who_was_silent_is_left_out_while_there_are_others() {
        let now = Instant::now() + RETURN;
        let silent = |ago| failed(now, ago, true);
        assert_eq!(order(&[None, silent(999), None], 0, now), [0, 2]);
        assert_eq!(order(&[None, silent(1000), None], 0, now), [0, 1, 2]);
        // Whoever refuses answers at once, and may have a leader the next time.
        assert_eq!(order(&[failed(now, 1, false), silent(1), None], 0, now), [0, 2]);
        assert_eq!(order(&[silent(1), silent(1), silent(1)], 1, now), [1, 2, 0]);
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the members keep it")]
    fn failed(now: Instant, millis_ago: u64, was_silent: bool) -> Option<Failure> {
        Some(Failure { at: now - Duration::from_millis(millis_ago), was_silent })
    }
}
