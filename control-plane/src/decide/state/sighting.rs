//! What this vantage makes of one site by its own probes through gateway, session and database.
//!
//! ```text
//!              4 bad probes in a row
//!   healthy ─────────────────────────▶ slow or failing
//!      ▲                                     │
//!      └─────────────────────────────────────┘
//!              3 good probes in a row
//! ```
//!
//! Bad is a failed probe, or one that took far longer than this site's used to take from here. Each
//! vantage compares with its own past: how far away a site is differs from place to place.

use std::time::Duration;

use tokio::time::Instant;
use topology::wire::vantage::{DeepOutcome, DeepSight, Health};

use super::slow::{slow_from, well_below};

/// A pause of a second costs two probes.
const BAD_AFTER: u32 = 4;
const GOOD_AFTER: u32 = 3;
/// Nothing below this is slow: a busy machine's scheduler explains it.
const SLOW_MIN: Duration = Duration::from_millis(250);
/// How much longer a probe takes that opens a connection first, where the way is most of it.
const ANEW: u32 = 2;
/// How many good probes make a past, and over how many it is averaged.
const LEARNED: u32 = 20;
const AVERAGED: u32 = 64;

/// One deep probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deep {
    pub outcome: DeepOutcome,
    pub took: Duration,
    /// Whether it opened a connection of its own, which is another way there and back.
    pub anew: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sighting {
    last: Option<Deep>,
    /// What is usual for a write, and for a read.
    writes: Usual,
    reads: Usual,
    bad: u32,
    good: u32,
    health: Health,
    since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    mean: Duration,
    samples: u32,
}

impl Sighting {
    pub(super) const UNSEEN: Self = Self {
        last: None,
        writes: Usual::NOTHING,
        reads: Usual::NOTHING,
        bad: 0,
        good: 0,
        health: Health::Unknown,
        since: None,
    };

    pub(super) fn saw(&mut self, deep: Deep, now: Instant) {
        self.last = Some(deep);
        let is_bad = match deep.outcome {
            // Too much to do is no illness, and no sign of health either.
            DeepOutcome::Overloaded => return,
            DeepOutcome::Failed => Some(Health::Failing),
            DeepOutcome::Wrote => self.writes.compare(deep, self.health),
            DeepOutcome::Read => self.reads.compare(deep, self.health),
        };
        if let Some(health) = is_bad {
            (self.bad, self.good) = (self.bad.saturating_add(1), 0);
            if self.bad >= BAD_AFTER {
                self.turn(health, now);
            }
        } else {
            (self.bad, self.good) = (0, self.good.saturating_add(1));
            if self.good >= GOOD_AFTER {
                self.turn(Health::Healthy, now);
            }
        }
    }

    /// Slow or failing is the same trouble, and has one beginning.
    fn turn(&mut self, health: Health, now: Instant) {
        if self.health.is_bad() != health.is_bad() || self.since.is_none() {
            self.since = Some(now);
        }
        self.health = health;
    }

    /// Returns how the site is, and since when.
    #[must_use]
    pub(super) fn health(&self) -> (Health, Option<Instant>) {
        (self.health, self.since)
    }

    /// Returns the last probe as others are told of it.
    #[must_use]
    pub(super) fn deep(&self) -> Option<DeepSight> {
        let Deep { outcome, took, .. } = self.last?;
        let usual = match outcome {
            DeepOutcome::Wrote | DeepOutcome::Failed | DeepOutcome::Overloaded => self.writes,
            DeepOutcome::Read => self.reads,
        };
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let usual_us = (usual.samples >= LEARNED).then(|| micros(usual.mean));
        Some(DeepSight { outcome, latency_us: micros(took), usual_us })
    }
}

impl Usual {
    const NOTHING: Self = Self { mean: Duration::ZERO, samples: 0 };

    /// Says whether a probe was slow; one that was not becomes part of what is usual. So does one that is
    /// only too slow to end what is bad already: should it stay like that, it is the usual in the end.
    fn compare(&mut self, Deep { took, anew, .. }: Deep, before: Health) -> Option<Health> {
        let is_known = self.samples >= LEARNED;
        let usual = self.mean.saturating_mul(if anew { ANEW } else { 1 });
        if is_known && took > slow_from(usual, SLOW_MIN) {
            return Some(Health::Slow);
        }
        let is_bad_still = before.is_bad() && took > well_below(usual, SLOW_MIN);
        if !anew {
            self.learn(took);
        }
        (is_known && is_bad_still).then_some(Health::Slow)
    }

    fn learn(&mut self, took: Duration) {
        self.samples = self.samples.saturating_add(1);
        let weight = self.samples.min(AVERAGED);
        self.mean = (self.mean * (weight - 1) + took) / weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slow_is_so_until_it_is_halfway_back_to_what_is_usual() {
        check("5 x30, 300 x4, 200 x3, 140 x3", "slow");
        check("5 x30, 300 x4, 120 x2", "slow");
        check("5 x30, 300 x4, 120 x3", "healthy");
    }

    #[test]
    fn far_away_half_a_second_more_than_usual_is_slow() {
        check("170 x30, 660 x4", "healthy");
        check("170 x30, 970 x3", "healthy");
        check("170 x30, 970 x4", "slow");
        check("170 x30, 970 x4, 430 x3", "slow");
        check("170 x30, 970 x4, 400 x3", "healthy");
    }

    #[test]
    fn a_connection_of_its_own_is_another_way_and_no_sign_of_anything() {
        // 0.1 s more each way.
        check("165 x30, 720+ x9", "healthy");
        check("165 x30, 1000+ x4", "slow");
        check("5 x30, 300+ x4", "slow");
        // Nor is it what is usual over one that is kept.
        check("165 x30, 720+ x99, 670 x4", "slow");
    }

    #[test]
    fn what_is_only_too_slow_to_be_well_again_becomes_the_usual() {
        check("5 x30, 300 x4, 200 x5", "slow");
        check("5 x30, 300 x4, 200 x300", "healthy");
        // What is slow by itself never does.
        check("5 x30, 300 x300", "slow");
    }

    /// Lets probes take so many milliseconds, `+` over a connection of their own, and compares how the site is
    /// then.
    #[track_caller]
    fn check(probes: &str, expected: &str) {
        let (mut sighting, now) = (Sighting::default(), Instant::now());
        for probe in probes.split(", ") {
            let (millis, times) = probe.split_once(" x").unwrap();
            let took = Duration::from_millis(millis.trim_end_matches('+').parse().unwrap());
            let deep = Deep { outcome: DeepOutcome::Wrote, took, anew: millis.ends_with('+') };
            for _ in 0..times.parse().unwrap() {
                sighting.saw(deep, now);
            }
        }
        assert_eq!(sighting.health().0.name(), expected);
    }
}
