//! Which site a read goes to that any site can answer: a near one, measured by its answers.
//!
//! ```text
//!   unproven ── answered ──▶ proven ── failed ──▶ unproven, with a penalty on its latency
//! ```
//!
//! Latency is a peak-sensitive moving average: a slower answer counts at once, a faster one little by
//! little. Among the proven sites those count as near whose latency is about the best one's; of two
//! near ones drawn at random the one with less to do is asked, so that no single site gets everybody.
//! A site that failed is asked again by probes first, and comes near again as its penalty fades.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use topology::SiteId;

/// How fast a slow answer is forgotten: to a third in this time, given faster ones.
const DECAY: Duration = Duration::from_secs(5);
/// What a failure counts as: longer than any answer that is worth waiting for.
const PENALTY: Duration = Duration::from_secs(2);
/// Near is up to this many times as far as the nearest …
const NEAR: f64 = 1.5;
/// … and what is less than this behind it: below, distance cannot be told from noise.
const NOISE: Duration = Duration::from_millis(3);

/// What is known of every site that may be asked.
#[derive(Debug, Default)]
pub(crate) struct Nearest {
    sites: BTreeMap<SiteId, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Has answered since it last failed, or was first heard of.
    is_proven: bool,
    /// None until there has been a first answer or failure.
    latency: Option<Latency>,
    in_flight: u32,
    probed: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Latency {
    average: Duration,
    at: Instant,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Duration),
    Failed,
    /// Nobody waited for the answer: it says nothing about the site.
    Abandoned,
}

impl Outcome {
    pub(crate) const ALL: [Self; 3] =
        [Self::Answered(Duration::ZERO), Self::Failed, Self::Abandoned];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Nearest {
    /// Takes the sites there are now; what is known of others is forgotten.
    pub(crate) fn offer(&mut self, sites: impl Iterator<Item = SiteId>) {
        let mut known = std::mem::take(&mut self.sites);
        self.sites = sites
            .map(|site| {
                let seen = known.remove(&site).unwrap_or_default();
                (site, seen)
            })
            .collect();
    }

    /// Returns the site to ask, other than those that were tried; `draws` are two random numbers.
    /// Unproven ones are asked only where there is no proven one.
    pub(crate) fn choose(&self, tried: &[SiteId], draws: [u64; 2]) -> Option<&SiteId> {
        let near = self.near(tried);
        let [first, second] = draw(near.len(), draws)?;
        // Of two that are alike the first one drawn, not always the same.
        let least = std::cmp::min_by(near[first], near[second], |(_, a), (_, b)| {
            a.cost().total_cmp(&b.cost())
        });
        Some(least.0)
    }

    /// Returns the site whose measurement is the oldest, if it is older than `period`.
    pub(crate) fn due(&self, period: Duration, now: Instant) -> Option<&SiteId> {
        self.sites
            .iter()
            .map(|(site, seen)| (seen.last_heard(), site))
            .filter(|(heard, _)| heard.is_none_or(|heard| now - heard >= period))
            .min()
            .map(|(_, site)| site)
    }

    /// Notes that a site is being asked.
    pub(crate) fn asked(&mut self, site: &SiteId) {
        if let Some(seen) = self.sites.get_mut(site) {
            seen.in_flight += 1;
        }
    }

    /// Notes that a site is being probed: it is not due again at once, whatever comes of it.
    pub(crate) fn probed(&mut self, site: &SiteId, now: Instant) {
        self.asked(site);
        if let Some(seen) = self.sites.get_mut(site) {
            seen.probed = Some(now);
        }
    }

    /// Notes how a try ended.
    pub(crate) fn ended(&mut self, site: &SiteId, outcome: Outcome, now: Instant) {
        let Some(seen) = self.sites.get_mut(site) else { return };
        seen.in_flight = seen.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Answered(took) => {
                seen.is_proven = true;
                seen.measure(took, now);
            }
            Outcome::Failed => {
                seen.is_proven = false;
                seen.measure(PENALTY, now);
            }
            Outcome::Abandoned => {}
        }
    }

    /// Returns a site's average latency; none before its first answer or failure.
    pub(crate) fn latency(&self, site: &SiteId) -> Option<Duration> {
        self.sites.get(site)?.average()
    }

    /// Returns every site with whether it is proven and its average latency, for people.
    pub(crate) fn view(&self) -> impl Iterator<Item = (&SiteId, bool, Option<Duration>)> {
        self.sites
            .iter()
            .map(|(site, seen)| (site, seen.is_proven, seen.latency.map(|latency| latency.average)))
    }

    fn near(&self, tried: &[SiteId]) -> Vec<(&SiteId, &Seen)> {
        let untried = || self.sites.iter().filter(|(site, _)| !tried.contains(site));
        let proven: Vec<_> = untried().filter(|(_, seen)| seen.is_proven).collect();
        let Some(best) = proven.iter().filter_map(|(_, seen)| seen.average()).min() else {
            return untried().collect();
        };
        let limit = best.mul_f64(NEAR).max(best + NOISE);
        proven
            .into_iter()
            .filter(|(_, seen)| seen.average().is_some_and(|average| average <= limit))
            .collect()
    }
}

impl Seen {
    fn measure(&mut self, took: Duration, now: Instant) {
        let average = match self.latency {
            Some(last) if took < last.average => {
                let weight = (-(now - last.at).div_duration_f64(DECAY)).exp();
                took + last.average.saturating_sub(took).mul_f64(weight)
            }
            Some(_) | None => took,
        };
        self.latency = Some(Latency { average, at: now });
    }

    fn average(&self) -> Option<Duration> {
        self.latency.map(|latency| latency.average)
    }

    /// How long the next answer may take: everything in flight is in front of it.
    fn cost(&self) -> f64 {
        let average = self.average().unwrap_or(PENALTY).as_secs_f64();
        average * f64::from(self.in_flight + 1)
    }

    fn last_heard(&self) -> Option<Instant> {
        self.latency.map(|latency| latency.at).max(self.probed)
    }
}

/// Draws two different numbers below `count`; the same one twice where there is but one.
fn draw(count: usize, [first, second]: [u64; 2]) -> Option<[usize; 2]> {
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    let first = first % count;
    let second = if count == 1 { first } else { (first + 1 + second % (count - 1)) % count };
    Some([usize::try_from(first).ok()?, usize::try_from(second).ok()?])
}

#[cfg(test)]
mod tests;
