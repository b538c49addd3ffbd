//! When weak writes wait for the voters too, because losing this region would lose too many of them.
//!
//! A weak write is on a voter as soon as the voter has caught up with it, which takes milliseconds. A
//! voter that falls further behind than the limit lets the loss grow with it, so from then on a weak
//! write is answered only when the voters have it, and fewer are made, until they are close again.
//! Where too few voters are there at all nothing waits: a cell at risk keeps taking messages, and
//! says that it is at risk.

use std::collections::VecDeque;
use std::time::Duration;

use runtime::clock::BootTime;

/// What may be lost with a region, at most, in time and in bytes of WAL: a healthy voter is behind by
/// a hundredth of it.
const AGE_MAX: Duration = Duration::from_secs(1);
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How close the voters are again before weak writes stop waiting: half, so that a lag about the
/// limit does not change the answer at every look.
const AGE_CLOSE: Duration = Duration::from_millis(500);
const BYTES_CLOSE: u64 = BYTES_MAX / 2;
/// Looks remembered: four a second. What a lag is older than these makes no difference any more.
const LOOKS: usize = 64;

/// What has been seen of this site's WAL and of the voters'.
#[derive(Clone, Debug, Default)]
pub struct Lag {
    /// When the WAL was first seen to reach so far; both grow.
    written: VecDeque<(BootTime, u64)>,
    is_too_large: bool,
}

impl Lag {
    /// This site has flushed up to `written`, and enough voters for a strong commit up to `kept`;
    /// `None` while there are too few of them.
    pub fn saw(&mut self, written: u64, kept: Option<u64>, now: BootTime) {
        if self.written.back().is_none_or(|(_, last)| *last < written) {
            self.written.push_back((now, written));
        }
        if self.written.len() > LOOKS {
            self.written.pop_front();
        }
        let Some(kept) = kept else {
            self.is_too_large = false;
            return;
        };
        while self.written.front().is_some_and(|(_, reached)| *reached <= kept) {
            self.written.pop_front();
        }
        let age = self.written.front().map_or(Duration::ZERO, |(at, _)| now.since(*at));
        let bytes = written.saturating_sub(kept);
        self.is_too_large = if self.is_too_large {
            age > AGE_CLOSE || bytes > BYTES_CLOSE
        } else {
            age > AGE_MAX || bytes > BYTES_MAX
        };
    }

    /// Returns whether weak writes wait for the voters.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    #[test]
    fn a_voter_that_keeps_up_holds_nothing_up() {
        check(
            "0: 10/10  250: 11/10  500: 12/11  2000: 40/38  2250: 41/41  9000: 41/41",
            &[false; 6],
        );
    }

    #[test]
    fn a_voter_that_stands_still_for_more_than_a_second_makes_weak_writes_wait() {
        check(
            "0: 10/10  250: 11/10  1000: 12/10  1250: 12/10  1500: 12/10",
            &[false, false, false, false, true],
        );
    }

    #[test]
    fn a_voter_behind_by_more_than_16_mb_makes_them_wait_at_once() {
        check("0: 10/10  250: 26/10  500: 43/26", &[false, false, true]);
    }

    #[test]
    fn they_wait_until_half_of_either_is_reached() {
        // By bytes, then by age.
        check("0: 10/10  10: 40/10  20: 40/31  30: 40/32", &[false, true, true, false]);
        check(
            "0: 11/10  250: 12/10  1100: 12/10  1150: 12/11  1200: 12/12",
            &[false, false, true, true, false],
        );
    }

    #[test]
    fn with_too_few_voters_nothing_waits_and_one_that_is_back_is_measured_at_once() {
        check(
            "0: 10/10  250: 11/10  1500: 12/10  1750: 13/-  9000: 14/-  9250: 14/10  9500: 14/14",
            &[false, false, true, false, false, true, false],
        );
    }

    #[test]
    fn a_quiet_cell_is_not_behind_however_long_nobody_writes() {
        check("0: 10/10  60000: 10/10  60250: 11/10  60500: 11/11", &[false; 4]);
    }

    #[test]
    fn a_voter_that_stands_still_for_ever_is_remembered_in_bounded_space() {
        let mut lag = Lag::default();
        for look in 0..1000 {
            lag.saw(10 + look, Some(10), BootTime::from_nanos(look * 250_000_000));
        }
        assert!(lag.is_too_large());
        assert_eq!(lag.written.len(), LOOKS);
    }

    /// `500: 12/11` is a look after 500 ms, at 12 MB here and 11 MB with the voters.
    #[track_caller]
    fn check(looks: &str, expected: &[bool]) {
        let mut lag = Lag::default();
        let looks = looks.split("  ").map(|look| {
            let (at, seen) = look.split_once(": ").unwrap();
            let (written, kept) = seen.split_once('/').unwrap();
            let kept = kept.parse().ok().map(|kept: u64| kept * MB);
            let at = BootTime::from_nanos(at.parse::<u64>().unwrap() * 1_000_000);
            lag.saw(written.parse::<u64>().unwrap() * MB, kept, at);
            lag.is_too_large()
        });
        assert_eq!(looks.collect::<Vec<bool>>(), expected);
    }
}
