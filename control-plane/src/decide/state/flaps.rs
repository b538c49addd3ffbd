//! Sites that come and go: each time a site turns bad it is fined, and the fine is forgotten slowly.

use std::time::Duration;

use tokio::time::Instant;

const HALF_LIFE: Duration = Duration::from_mins(1);
/// Three times within a minute or so.
const FLAPPING: f64 = 2.5;
/// Two minutes of quiet after that.
const QUIET: f64 = 0.7;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flaps {
    was_bad: bool,
    fine: f64,
    fined: Option<Instant>,
    /// Since when the site has been flapping, whether or not it still is.
    flapping: Option<Instant>,
}

impl Flaps {
    pub(super) const NONE: Self = Self { was_bad: false, fine: 0.0, fined: None, flapping: None };

    pub(super) fn saw(&mut self, is_bad: bool, now: Instant) {
        if is_bad && !self.was_bad {
            self.flapping = self.since(now);
            self.fine = self.fine(now) + 1.0;
            self.fined = Some(now);
            if self.fine >= FLAPPING {
                self.flapping.get_or_insert(now);
            }
        }
        self.was_bad = is_bad;
    }

    /// Returns since when the site has been flapping, if it is.
    #[must_use]
    pub(super) fn since(&self, now: Instant) -> Option<Instant> {
        self.flapping.filter(|_| self.fine(now) >= QUIET)
    }

    fn fine(&self, now: Instant) -> f64 {
        let Some(fined) = self.fined else { return 0.0 };
        let age = now.saturating_duration_since(fined).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.fine * (-age).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_three_times_a_minute_flaps_until_it_has_been_quiet() {
        let (mut flaps, start) = (Flaps::default(), Instant::now());
        let second = |seconds| start + Duration::from_secs(seconds);
        for (at, is_bad) in [(0, true), (2, true), (5, false), (10, true), (15, false)] {
            flaps.saw(is_bad, second(at));
        }
        assert_eq!(flaps.since(second(19)), None, "twice is no habit");
        flaps.saw(true, second(20));
        flaps.saw(false, second(21));
        assert_eq!(flaps.since(second(120)), Some(second(20)));
        assert_eq!(flaps.since(second(150)), None);
        flaps.saw(true, second(400));
        assert_eq!(flaps.since(second(400)), None, "what was is forgotten");
    }
}
