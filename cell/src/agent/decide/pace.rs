//! Whether this site is run often enough to serve: how late its own ticks come.
//!
//! ```text
//!   right runs out        on time for half a second
//!         ├───────────────────────┤ come back in place
//!         ├── late ── late ── late ── late ──┤ a second: ask for another active site
//! ```
//!
//! A site that has lost its right because it stood still once is as good as before. One that goes on
//! being late would lose it again, and every try interrupts its users for longer than a successor does.
//! What is late because everything is, a whole machine that stood still, is on time afterwards.

use std::time::Duration;

use tokio::time::Instant;

/// How often the site looks at its clock.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// How late a tick of a site that is well may come: a machine with much to do takes some tens of
/// milliseconds; one that gives a site a twentieth of a processor, a hundred and more.
const LATE: Duration = Duration::from_millis(100);
/// How long it must have been on time: ten ticks.
const STEADY: Duration = Duration::from_millis(500);
/// How long that is waited for.
const BORNE: Duration = Duration::from_secs(1);

/// Since when the site's ticks have come on time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    steady_since: Instant,
}

/// What a site whose right ran out does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// It begins a new epoch where it is.
    InPlace,
    /// It is not yet known.
    Wait,
    /// It asks for an election.
    Elsewhere,
}

impl Pace {
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self { steady_since: now }
    }

    /// A tick that was due then comes now.
    pub(crate) fn ticked(&mut self, due: Instant, now: Instant) {
        if now.saturating_duration_since(due) > LATE {
            self.steady_since = now;
        }
    }

    /// Returns what to do about a right that was found to have run out at that moment.
    #[must_use]
    pub(crate) fn after_lapse(&self, lapsed: Instant, now: Instant) -> Return {
        // Lateness before was what the right ran out by, and says nothing of what follows.
        let steady_since = self.steady_since.max(lapsed);
        if now.saturating_duration_since(steady_since) >= STEADY {
            Return::InPlace
        } else if now.saturating_duration_since(lapsed) >= BORNE {
            Return::Elsewhere
        } else {
            Return::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_that_stood_still_once_comes_back_in_place() {
        check("1700", "500 in place");
    }

    #[test]
    fn a_site_that_goes_on_being_late_asks_for_another() {
        check("1700 150 150 150 150 150 150 150 150", "1000 elsewhere");
        check("1700 0 0 400 0 0 400 0 0", "1100 elsewhere");
    }

    #[test]
    fn a_site_that_is_late_once_more_gets_its_time() {
        check("1700 300", "850 in place");
    }

    #[test]
    fn a_busy_machine_is_on_time() {
        check("1700 60 60 60 60 60 60 60", "550 in place");
    }

    /// Lets ticks come late by so many milliseconds, the first of them being what the right runs out
    /// by, and later ones on time; compares what is done about it, and how long after.
    #[track_caller]
    fn check(late: &str, expected: &str) {
        let mut late = late.split_whitespace().map(|ms| ms.parse().unwrap());
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut tick = |now: &mut Instant, pace: &mut Pace| {
            let due = *now + TICK;
            *now = due + Duration::from_millis(late.next().unwrap_or(0));
            pace.ticked(due, *now);
        };
        tick(&mut now, &mut pace);
        let lapsed = now;
        let done = loop {
            match pace.after_lapse(lapsed, now) {
                Return::Wait => tick(&mut now, &mut pace),
                Return::InPlace => break "in place",
                Return::Elsewhere => break "elsewhere",
            }
        };
        assert_eq!(format!("{} {done}", (now - lapsed).as_millis()), expected);
    }
}
