//! Whether this site's disk has become slow for what PostgreSQL commits: by how long its log takes to be on
//! disk, as PostgreSQL counts it, against what that used to take here.
//!
//! A weak write waits for that and for nothing else, and a strong one for that too.

use std::time::Duration;

use topology::wire::report::Flush;

/// So many are looked at together: one slow flush is a checkpoint's, or another's on the same disk.
const TOGETHER: u64 = 5;
/// Nothing below this is slow, and how much longer than usual is.
const SLOW_MIN: Duration = Duration::from_millis(100);
const SLOW_TIMES: u32 = 8;
/// What is slow is over below this part of what made it so, and so many looks in a row: a disk that lets only
/// so many writes through is quick for whoever has just waited.
const OVER: u32 = 2;
const QUICK: u32 = 3;
/// How many looks make a past, and over how many it is averaged: half a minute of an idle cell, and some
/// minutes of a busy one.
const LEARNED: u32 = 15;
const AVERAGED: u32 = 600;

/// What PostgreSQL has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub flushes: u64,
    /// What all of them took together.
    pub took: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct Flushes {
    /// What had been counted before those that are looked at together.
    before: Option<Counted>,
    lately: Option<Duration>,
    usual: Duration,
    looks: u32,
    is_slow: bool,
    /// Looks in a row, while it is slow, that it was not.
    quick: u32,
}

impl Flushes {
    pub fn saw(&mut self, counted: Counted) {
        let before = *self.before.get_or_insert(counted);
        let Some(flushes) = counted.flushes.checked_sub(before.flushes) else {
            // The server was started again, and counts anew.
            self.before = Some(counted);
            return;
        };
        if flushes < TOGETHER {
            return;
        }
        self.before = Some(counted);
        let took = counted.took.saturating_sub(before.took);
        self.look(took / u32::try_from(flushes).unwrap_or(u32::MAX));
    }

    /// What was seen last is another time's: this site has stopped serving. What is usual here stays.
    pub fn begin_anew(&mut self) {
        (self.before, self.lately, self.is_slow) = (None, None, false);
    }

    fn look(&mut self, latency: Duration) {
        self.lately = Some(latency);
        let bound = SLOW_MIN.max(self.usual * SLOW_TIMES);
        if self.is_slow {
            self.quick = if latency < bound / OVER { self.quick + 1 } else { 0 };
            self.is_slow = self.quick < QUICK;
        } else {
            self.quick = 0;
            self.is_slow = self.looks >= LEARNED && latency >= bound;
        }
        if !self.is_slow {
            self.looks = self.looks.saturating_add(1);
            let weight = self.looks.min(AVERAGED);
            self.usual = (self.usual * (weight - 1) + latency) / weight;
        }
    }

    /// Returns what is told of it; nothing before the first few flushes.
    #[must_use]
    pub fn told(&self) -> Option<Flush> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let usual_us = (self.looks >= LEARNED).then(|| micros(self.usual));
        Some(Flush { latency_us: micros(self.lately?), usual_us, slow: self.is_slow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_slow_against_its_own_past_and_until_it_is_clearly_quick_again() {
        check(
            "2 x20, 99, 100, 300, 49, 49, 60, 49, 49, 49, 60",
            "99 well, 100 slow, 300 slow, 49 slow, 49 slow, 60 slow, 49 slow, 49 slow, 49 well, 60 well",
        );
        // What is always slow here is usual.
        check("80 x20, 300, 800", "300 well, 800 slow");
    }

    #[test]
    fn without_a_past_nothing_is_slow() {
        check("300 x5, 900", "900 well");
    }

    #[test]
    fn what_is_slow_is_not_learned() {
        check("2 x20, 400 x100, 40 x2, 40", "40 well");
        let mut flushes = run("2 x20, 400 x100").0;
        assert_eq!(flushes.told().unwrap().usual_us, Some(2000));
        // A server that was started again counts from nothing.
        flushes.saw(Counted { flushes: 3, took: Duration::from_secs(9) });
        assert_eq!(flushes.told().unwrap().latency_us, 400_000);
    }

    #[test]
    fn a_site_that_serves_again_is_judged_by_what_it_does_then() {
        let mut flushes = run("2 x20, 400 x2").0;
        flushes.begin_anew();
        assert_eq!(flushes.told(), None);
        let count = |flushes, ms| Counted { flushes, took: Duration::from_millis(ms) };
        flushes.saw(count(500, 90_000));
        flushes.saw(count(505, 90_015));
        let flush = Flush { latency_us: 3_000, usual_us: Some(2_047), slow: false };
        assert_eq!(flushes.told(), Some(flush));
    }

    #[test]
    fn a_few_flushes_are_looked_at_together_however_often_it_is_looked() {
        let mut flushes = Flushes::default();
        let count = |flushes| Counted { flushes, took: Duration::from_millis(10 * flushes) };
        for counted in [100, 101, 104] {
            flushes.saw(count(counted));
            assert_eq!(flushes.told(), None);
        }
        flushes.saw(count(105));
        let flush = Flush { latency_us: 10_000, usual_us: None, slow: false };
        assert_eq!(flushes.told(), Some(flush));
    }

    /// Lets flushes take so many milliseconds, and compares what each look that is not repeated says.
    #[track_caller]
    fn check(looks: &str, expected: &str) {
        assert_eq!(run(looks).1.join(", "), expected);
    }

    fn run(looks: &str) -> (Flushes, Vec<String>) {
        let (mut flushes, mut said) = (Flushes::default(), Vec::new());
        let mut counted = Counted::default();
        flushes.saw(counted);
        for look in looks.split(", ") {
            let (ms, times) = look.split_once(" x").unwrap_or((look, "1"));
            for _ in 0..times.parse().unwrap() {
                counted.flushes += TOGETHER;
                counted.took += Duration::from_millis(ms.parse::<u64>().unwrap() * TOGETHER);
                flushes.saw(counted);
            }
            if times == "1" {
                let slow = flushes.told().unwrap().slow;
                said.push(format!("{ms} {}", if slow { "slow" } else { "well" }));
            }
        }
        (flushes, said)
    }
}
