//! How many of a cell's held requests may be at its site at once: a few at first, then as many as the
//! site turns out to bear.
//!
//! ```text
//!   in a step of 100 ms the site            in the next there may be
//!   ─────────────────────────────────────   ─────────────────────────────────────
//!   has answered, well and quickly          twice as many
//!   was slow                                as many as before
//!   failed one turn in ten                  half as many, and never fewer than at first
//!   has said nothing                        as many as before: the step goes on
//! ```
//!
//! A site is slow by its own measure, the quickest step of the same release. What is slow may be this
//! machine as well, and whoever is held has little time left: that alone takes nothing away.
//! Times are durations since the cell was first heard of.

use std::time::Duration;

use topology::Epoch;

/// Under way at first, of those that were held, where a round trip is nothing.
const AT_FIRST: usize = 8;
/// The shortest step.
const STEP: Duration = Duration::from_millis(100);
/// After so long nobody sleeps until a step's end any more: whoever takes a turn wakes the next.
const LATE: Duration = Duration::from_millis(200);
/// One failure in so many turns is what cells have on good days.
const TOLERATED: usize = 10;
/// A site with twice as much to do at once as it can takes twice as long for each.
const SLOWER: u32 = 2;
/// Nothing below this is slow, however quick the first answers were: these requests have waited for
/// longer, and a machine that is busy otherwise must not let them wait on.
const SLOW_MIN: Duration = Duration::from_millis(500);
/// A release that was quiet for so long is over; the next one starts small again.
const QUIET: Duration = Duration::from_secs(2);

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The site has answered, after so long.
    Answered(Duration),
    /// It could not be reached, refused, failed or said nothing.
    Failed,
    /// Nothing was asked, or the client did not wait for the answer.
    Unused,
}

/// One cell's release.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    epoch: Epoch,
    allowed: usize,
    in_flight: usize,
    last: Option<Duration>,
    step: Step,
    was_late: bool,
    /// How long answers took on average in the quickest step.
    quickest: Option<Duration>,
}

#[derive(Debug, Default)]
struct Step {
    began: Duration,
    answered: usize,
    failed: usize,
    /// Answers to turns that were taken in this step: those before had less beside them.
    own: u32,
    /// How long those took together.
    took: Duration,
}

/// How many of a cell's held requests may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// At first, and never fewer.
    pub(crate) first: usize,
    pub(crate) most: usize,
}

impl Share {
    /// Over a distance an answer takes a round trip longer, and more are under way at the same pace.
    pub(crate) fn over(round_trip: Duration, most: usize) -> Self {
        let as_long = (STEP + round_trip).as_millis() / STEP.as_millis();
        let first = AT_FIRST * usize::try_from(as_long).unwrap_or(1);
        Self { first, most }
    }
}

impl Pace {
    /// Takes one of the share's turns under this epoch, or says how long until more may go.
    pub(crate) fn take(
        &mut self,
        epoch: Epoch,
        share: Share,
        now: Duration,
    ) -> Result<(), Duration> {
        let is_quiet = self.last.is_none_or(|last| now.saturating_sub(last) > QUIET);
        if epoch > self.epoch || is_quiet && self.in_flight == 0 {
            let step = Step { began: now, ..Step::default() };
            let in_flight = self.in_flight;
            *self = Self { epoch, allowed: share.first, in_flight, step, ..Self::default() };
        }
        let since = now.saturating_sub(self.step.began);
        if since >= STEP && (self.step.own > 0 || self.step.failed > 0) {
            self.was_late = since >= LATE;
            self.go_on(share, now);
        }
        if self.in_flight < self.allowed.min(share.most) {
            self.in_flight += 1;
            self.last = Some(now);
            return Ok(());
        }
        // A step that is over goes on until the site says something, which wakes somebody by itself.
        Err(if since < STEP { STEP.saturating_sub(since) } else { STEP })
    }

    /// Whether somebody must be woken who would sleep although there is room.
    pub(crate) fn wakes_another(&self, share: Share) -> bool {
        self.was_late && self.in_flight < self.allowed.min(share.most)
    }

    /// Takes in how a turn under this epoch ended.
    pub(crate) fn ended(&mut self, epoch: Epoch, ended: Ended, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if epoch != self.epoch {
            return;
        }
        match ended {
            Ended::Answered(took) => {
                self.step.answered += 1;
                if now.saturating_sub(took) >= self.step.began {
                    self.step.own += 1;
                    self.step.took += took;
                }
            }
            Ended::Failed => self.step.failed += 1,
            Ended::Unused => {}
        }
    }

    /// Ends a step: what the site did in it says how many may be under way in the next.
    fn go_on(&mut self, share: Share, now: Duration) {
        let Step { answered, failed, .. } = self.step;
        let is_failing = failed * TOLERATED > answered + failed;
        let allowed = match (is_failing, self.is_slow()) {
            (true, _) => self.allowed / 2,
            (false, true) => self.allowed,
            (false, false) => self.allowed * 2,
        };
        // More than the cell may have would only have to be halved in vain.
        self.allowed = allowed.min(share.most).max(share.first);
        self.step = Step { began: now, ..Step::default() };
    }

    /// Compares the answers to the step's own turns with those of the quickest step, and remembers that.
    fn is_slow(&mut self) -> bool {
        let Some(took) = self.step.took.checked_div(self.step.own) else { return false };
        let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
        self.quickest = Some(quickest);
        took > (quickest * SLOWER).max(SLOW_MIN)
    }
}

#[cfg(test)]
mod tests;
