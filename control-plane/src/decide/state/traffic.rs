//! What a cell's users got lately, by the routers' counts, and whether that is worse than it used to
//! be.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use topology::wire::report::TrafficSecond;
use topology::wire::vantage::Health;

use super::slow::{slow_from, well_below};

/// What counts as lately. Routers report every two seconds.
const WINDOW: Duration = Duration::from_secs(10);
/// How long after a move requests end that began before it: as long as a router holds one.
const HELD: Duration = Duration::from_secs(10);
/// Below this nothing is concluded: one user's bad luck is no share.
const REQUESTS_MIN: u64 = 20;
/// Which share of requests has to fail, and how much more than usual.
const FAILED_MIN: f64 = 0.2;
const FAILED_TIMES: f64 = 4.0;
/// Nothing below this is slow.
const SLOW_MIN: Duration = Duration::from_millis(500);
/// From which share on it is not chance that routers find nobody.
const UNREACHABLE_MIN: f64 = 0.02;
/// What fails is over below this part of what made it bad, so that users who get now a little more and now
/// a little less than that do not make it begin anew each time.
const OVER: f64 = 0.5;
/// How many reports make a past, and over how many it is averaged: half a minute, and some minutes.
const LEARNED: u32 = 15;
const AVERAGED: u32 = 150;
/// With so much more than usual a cell is busy, which no other site would be less.
const BUSY_TIMES: f64 = 2.0;
const BUSY_MORE: f64 = 10.0;

#[derive(Clone, Debug, Default)]
pub struct SeenTraffic {
    seconds: VecDeque<(Instant, TrafficSecond)>,
    usual: Lately,
    samples: u32,
    trouble: Option<(Health, Instant)>,
    /// Since when routers find nobody where they connect anew.
    nobody: Option<Instant>,
    /// When another site became the active one.
    moved: Option<Instant>,
}

/// From where on users are badly off.
struct Bounds {
    /// Of the share that has to fail.
    part: f64,
    /// By what it usually takes, and what is never slow.
    slow: fn(Duration, Duration) -> Duration,
}

impl Bounds {
    const BEGIN: Self = Self { part: 1.0, slow: slow_from };
    const GO_ON: Self = Self { part: OVER, slow: well_below };
}

/// Of all routers together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lately {
    pub requests_per_second: f64,
    pub failed_share: f64,
    pub unreachable_share: f64,
    pub median_ms: f64,
}

impl Lately {
    fn of(seconds: &[TrafficSecond]) -> Self {
        let sum = |part: fn(&TrafficSecond) -> u64| count(seconds.iter().map(part).sum());
        let (requests, unreachable) =
            (sum(|second| second.requests), sum(|second| second.unreachable));
        let slowness = sum(|second| second.median_ms.saturating_mul(second.requests));
        let all = requests.max(1.0);
        Self {
            requests_per_second: requests / WINDOW.as_secs_f64(),
            failed_share: (sum(|second| second.failed) / all).min(1.0),
            // A request tries more than once.
            unreachable_share: (unreachable / (requests + unreachable).max(1.0)).min(1.0),
            median_ms: slowness / all,
        }
    }

    fn median(&self) -> Duration {
        Duration::try_from_secs_f64(self.median_ms / 1000.0).unwrap_or(Duration::MAX)
    }
}

impl SeenTraffic {
    /// Another site serves from now on: what users got speaks neither for it nor against it. What they
    /// usually get stays, as the cell is the same.
    pub(super) fn moved(&mut self, now: Instant) {
        self.seconds.clear();
        (self.trouble, self.nobody) = (None, None);
        self.moved = Some(now);
    }

    /// What users get of a site that is `doubted` is no past to compare with.
    pub(super) fn told(&mut self, seconds: &[TrafficSecond], doubted: bool, now: Instant) {
        if self.moved.is_some_and(|moved| now - moved < HELD) {
            return;
        }
        self.seconds.extend(seconds.iter().map(|second| (now, *second)));
        while self.seconds.front().is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.seconds.pop_front();
        }
        let Some(lately) = self.lately(now) else {
            (self.trouble, self.nobody) = (None, None);
            return;
        };
        let part = if self.nobody.is_some() { OVER } else { 1.0 };
        let finds_nobody = lately.unreachable_share >= UNREACHABLE_MIN * part;
        self.nobody = finds_nobody.then(|| self.nobody.unwrap_or(now));
        let is_bad = self.judge(lately, &Bounds::BEGIN);
        let goes_on = || self.trouble.and_then(|_| self.judge(lately, &Bounds::GO_ON));
        self.trouble = is_bad.or_else(goes_on).map(|health| {
            (health, self.trouble.map_or_else(|| self.bad_since(now), |(_, since)| since))
        });
        // What is only too bad to end a trouble is the usual in the end, should it stay like that.
        if is_bad.is_none() && !doubted {
            self.learn(lately);
        }
    }

    /// Returns how bad that is, if it is.
    fn judge(&self, lately: Lately, bounds: &Bounds) -> Option<Health> {
        let known = (self.samples >= LEARNED).then_some(self.usual);
        let usually_failed = known.map_or(0.0, |usual| usual.failed_share);
        let failed = lately.failed_share + lately.unreachable_share;
        if failed >= bounds.part * FAILED_MIN.max(usually_failed * FAILED_TIMES) {
            return Some(Health::Failing);
        }
        let is_slow = |usual: &Lately| lately.median() > (bounds.slow)(usual.median(), SLOW_MIN);
        known.filter(is_slow).map(|_| Health::Slow)
    }

    /// Returns since when no second was well by itself: a trouble is as old as its beginning, and needs some
    /// seconds until it is most of what users got lately.
    fn bad_since(&self, now: Instant) -> Instant {
        let asked =
            |(_, second): &&(Instant, TrafficSecond)| second.requests + second.unreachable > 0;
        let of_its_own = |(_, second): &&(Instant, TrafficSecond)| {
            self.judge(Lately::of(&[*second]), &Bounds::GO_ON).is_some()
        };
        let bad = self.seconds.iter().rev().filter(asked).take_while(of_its_own);
        bad.last().map_or(now, |(at, _)| *at)
    }

    fn learn(&mut self, lately: Lately) {
        self.samples = self.samples.saturating_add(1);
        let weight = f64::from(self.samples.min(AVERAGED));
        let mix = |usual: f64, now: f64| usual + (now - usual) / weight;
        let Lately { requests_per_second, failed_share, unreachable_share, median_ms } = self.usual;
        self.usual = Lately {
            requests_per_second: mix(requests_per_second, lately.requests_per_second),
            failed_share: mix(failed_share, lately.failed_share),
            unreachable_share: mix(unreachable_share, lately.unreachable_share),
            median_ms: mix(median_ms, lately.median_ms),
        };
    }

    /// Returns what users got in the last seconds; nothing if too few asked.
    #[must_use]
    pub fn lately(&self, now: Instant) -> Option<Lately> {
        let recent = self.seconds.iter().filter(|(at, _)| now - *at < WINDOW);
        let recent: Vec<TrafficSecond> = recent.map(|(_, second)| *second).collect();
        let asked: u64 = recent.iter().map(|second| second.requests + second.unreachable).sum();
        (asked >= REQUESTS_MIN).then(|| Lately::of(&recent))
    }

    /// Returns what users usually get, once that is known.
    #[must_use]
    pub fn usual(&self) -> Option<Lately> {
        (self.samples >= LEARNED).then_some(self.usual)
    }

    /// Returns what is wrong for users, and since when.
    #[must_use]
    pub fn trouble(&self, now: Instant) -> Option<(Health, Instant)> {
        // When nobody asks any more, there is nothing to go by.
        self.trouble.filter(|_| self.lately(now).is_some())
    }

    /// Returns since when routers find nobody where they connect anew: what goes on over a connection that is
    /// open says nothing of that, and may be nearly everything.
    #[must_use]
    pub fn finds_nobody(&self, now: Instant) -> Option<Instant> {
        self.nobody.filter(|_| self.lately(now).is_some())
    }

    /// Returns whether the cell is asked for far more than usual.
    #[must_use]
    pub fn is_busy(&self, now: Instant) -> bool {
        let Some((lately, usual)) = self.lately(now).zip(self.usual()) else { return false };
        lately.requests_per_second > usual.requests_per_second * BUSY_TIMES + BUSY_MORE
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of ten seconds")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: TrafficSecond =
        TrafficSecond { requests: 10, failed: 0, unreachable: 0, median_ms: 20 };
    const ILL: TrafficSecond =
        TrafficSecond { requests: 10, failed: 0, unreachable: 0, median_ms: 2500 };

    #[test]
    fn what_users_got_before_a_move_and_were_held_over_is_not_the_new_sites() {
        let (mut traffic, start) = (SeenTraffic::default(), Instant::now());
        let second = |seconds| start + Duration::from_secs(seconds);
        for at in 0..60 {
            traffic.told(&[WELL], false, second(at));
        }
        for at in 60..75 {
            traffic.told(&[ILL], false, second(at));
        }
        assert!(traffic.trouble(second(75)).is_some());
        traffic.moved(second(75));
        assert_eq!(traffic.trouble(second(75)), None);
        for at in 76..85 {
            traffic.told(&[ILL], false, second(at));
            assert_eq!(traffic.trouble(second(at)), None, "held over, {at}");
        }
        for at in 85..90 {
            traffic.told(&[ILL], false, second(at));
        }
        let since = traffic.trouble(second(90)).map(|(_, since)| since);
        assert_eq!(since, Some(second(85)), "what comes after is its own");
    }

    #[test]
    fn routers_that_find_nobody_now_and_then_are_no_chance() {
        let start = Instant::now();
        let finds_nobody = |unreachable| {
            let mut traffic = SeenTraffic::default();
            traffic.told(&[TrafficSecond { requests: 100, unreachable, ..WELL }], false, start);
            traffic.finds_nobody(start)
        };
        assert_eq!([0, 2, 3, 100].map(finds_nobody), [None, None, Some(start), Some(start)]);
        assert_eq!(SeenTraffic::default().finds_nobody(start), None, "nobody asks");
    }

    #[test]
    fn to_find_nobody_is_over_when_that_is_rare_again_or_another_site_serves() {
        let (mut traffic, start) = (SeenTraffic::default(), Instant::now());
        let second = |seconds| start + Duration::from_secs(seconds);
        let at = |unreachable| TrafficSecond { requests: 100, unreachable, ..WELL };
        let mut told = |seconds, unreachable| {
            traffic.told(&[at(unreachable)], false, second(seconds));
            traffic.finds_nobody(second(seconds))
        };
        // Each ten seconds hold one of these.
        assert_eq!(told(0, 3), Some(start));
        assert_eq!(told(10, 2), Some(start));
        assert_eq!(told(20, 1), None);
        assert_eq!(told(30, 2), None);
        assert_eq!(told(40, 9), Some(second(40)));
        traffic.moved(second(41));
        assert_eq!(traffic.finds_nobody(second(41)), None);
    }

    #[test]
    fn what_grows_worse_slowly_is_no_past_while_the_site_is_doubted() {
        let since = |doubted| {
            let (mut traffic, start) = (SeenTraffic::default(), Instant::now());
            let second = |seconds| start + Duration::from_secs(seconds);
            for at in 0..30 {
                traffic.told(&[WELL], false, second(at));
            }
            for at in 0..60 {
                let worse = TrafficSecond { median_ms: 20 + at * 10, ..WELL };
                traffic.told(&[worse], doubted, second(30 + at));
            }
            traffic.trouble(second(89)).map(|(_, since)| (since - second(30)).as_secs())
        };
        // Half a second, on average of the ten seconds up to the 53rd, none of which was well.
        assert_eq!(since(true), Some(44));
        assert_eq!(since(false), None, "it has become the usual");
    }

    #[test]
    fn what_is_only_too_bad_to_end_a_trouble_becomes_the_usual() {
        let ends = |doubted| {
            let (mut traffic, start) = (SeenTraffic::default(), Instant::now());
            let second = |seconds| start + Duration::from_secs(seconds);
            let at = |median_ms| TrafficSecond { median_ms, ..WELL };
            for seconds in 0..30 {
                traffic.told(&[WELL], false, second(seconds));
            }
            for seconds in 30..40 {
                traffic.told(&[at(700)], doubted, second(seconds));
            }
            for seconds in 40..400 {
                traffic.told(&[at(400)], doubted, second(seconds));
            }
            traffic.trouble(second(399)).is_none()
        };
        assert!(ends(false));
        assert!(!ends(true), "while anything speaks against the site it is no past");
    }

    #[test]
    fn a_trouble_is_as_old_as_the_first_second_after_which_none_was_well() {
        let since = |lately: &str| {
            let (mut traffic, start) = (SeenTraffic::default(), Instant::now());
            let second = |seconds| start + Duration::from_secs(seconds);
            for seconds in 0..30 {
                traffic.told(&[WELL], false, second(seconds));
            }
            for (at, seen) in (30..).zip(lately.chars()) {
                let told = match seen {
                    'o' => WELL,
                    'x' => TrafficSecond { median_ms: 1020, ..WELL },
                    'f' => TrafficSecond { failed: 5, ..WELL },
                    _ => TrafficSecond { requests: 0, median_ms: 0, ..WELL },
                };
                traffic.told(&[told], true, second(at));
            }
            let told = traffic.trouble(second(29 + lately.len() as u64));
            told.map(|(_, since)| (since - second(30)).as_secs())
        };
        assert_eq!(since("xxxx"), None, "not most of the last ten seconds yet");
        assert_eq!(since("xxxxx"), Some(0));
        assert_eq!(since("ooxxxxx"), Some(2));
        assert_eq!(since("xxoxxxx"), Some(3));
        assert_eq!(since("xx.xxxxx"), Some(0), "nobody asked");
        assert_eq!(since("offff"), Some(1));
        assert_eq!(since("xxxxxo"), Some(0), "it has begun, and goes on");
    }

    #[test]
    fn users_who_get_a_little_more_and_a_little_less_are_in_one_trouble() {
        let (mut traffic, start) = (SeenTraffic::default(), Instant::now());
        let second = |seconds| start + Duration::from_secs(seconds);
        let at = |median_ms| TrafficSecond { median_ms, ..WELL };
        for seconds in 0..30 {
            traffic.told(&[WELL], false, second(seconds));
        }
        for seconds in 30..60 {
            let median_ms = if seconds < 40 { 700 } else { 400 };
            traffic.told(&[at(median_ms)], true, second(seconds));
        }
        let begun = traffic.trouble(second(60)).map(|(_, since)| since);
        assert_eq!(begun, Some(second(30)));
        for seconds in 60..70 {
            traffic.told(&[at(200)], true, second(seconds));
        }
        assert_eq!(traffic.trouble(second(70)), None);
    }
}
