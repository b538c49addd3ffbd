//! What another region's control plane says it sees, and how long ago it said anything, by this
//! observer's own clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use topology::SiteId;
use topology::wire::vantage::{Health, SightedSite, VantageReport};

/// How long a vantage counts after its last word: two of its writes may fail.
const FRESH: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default)]
pub struct SeenVantage {
    sequence: u64,
    /// When its sequence was last seen to change. What is found at first may be years old.
    heard: Option<Instant>,
    /// When it last said so itself, past etcd.
    heard_itself: Option<Instant>,
    /// Shared: the state is copied often, and changes rarely.
    sites: Arc<BTreeMap<SiteId, Sighted>>,
}

/// A site in the eyes of that vantage.
#[derive(Clone, Debug)]
pub struct Sighted {
    pub told: SightedSite,
    /// Since when it has been as good or as bad, as far as this observer was told.
    pub since: Instant,
}

impl SeenVantage {
    pub(super) fn first(report: &VantageReport, now: Instant) -> Self {
        let mut seen = Self { sequence: report.sequence, ..Self::default() };
        seen.take(report, now);
        seen
    }

    /// What etcd has may be older than what the vantage has said itself since.
    pub(super) fn told(&mut self, report: &VantageReport, now: Instant) {
        let speaks = self.heard_itself.is_some_and(|at| now.saturating_duration_since(at) < FRESH);
        if self.sequence == report.sequence || speaks && report.sequence < self.sequence {
            return;
        }
        self.hear(report, now);
    }

    /// Takes what the vantage says itself: it is there, and this is its newest report.
    pub(super) fn told_itself(&mut self, report: &VantageReport, now: Instant) {
        self.heard_itself = Some(now);
        if self.sequence != report.sequence || self.heard.is_none() {
            self.hear(report, now);
        }
    }

    fn hear(&mut self, report: &VantageReport, now: Instant) {
        self.sequence = report.sequence;
        self.heard = Some(now);
        self.take(report, now);
    }

    fn take(&mut self, report: &VantageReport, now: Instant) {
        let before = Arc::clone(&self.sites);
        let sites = report.sites.iter().filter_map(|(name, told)| {
            // A site of another version's naming is nobody's here.
            let id: SiteId = name.parse().ok()?;
            let same = before
                .get(&id)
                .filter(|sighted| health(&sighted.told).is_bad() == health(told).is_bad());
            let since = same.map_or(now, |sighted| sighted.since);
            Some((id, Sighted { told: told.clone(), since }))
        });
        self.sites = Arc::new(sites.collect());
    }

    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns when it was last heard, if ever.
    #[must_use]
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }

    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < FRESH)
    }

    #[must_use]
    pub fn sites(&self) -> &BTreeMap<SiteId, Sighted> {
        &self.sites
    }
}

impl Sighted {
    #[must_use]
    pub fn health(&self) -> Health {
        health(&self.told)
    }
}

/// An earlier version's vantage tells of reachability alone.
fn health(told: &SightedSite) -> Health {
    match (told.health, told.reachable) {
        (Health::Unknown, true) => Health::Healthy,
        (Health::Unknown, false) => Health::Unknown,
        (said, _) => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vantage_says_itself_is_not_undone_by_what_etcd_has_still() {
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        let mut seen = SeenVantage::first(&report(4, "unreachable"), start);
        assert!(!seen.is_fresh(start), "what is found may be years old");
        seen.told_itself(&report(5, "healthy"), second(1));
        assert_eq!(told(&seen, second(1)), (5, "healthy", true));
        seen.told(&report(4, "unreachable"), second(2));
        assert_eq!(told(&seen, second(2)), (5, "healthy", true));
        seen.told(&report(6, "slow"), second(3));
        assert_eq!(told(&seen, second(3)), (6, "slow", true));
        // It begins to count anew when it is started anew.
        seen.told_itself(&report(1, "failing"), second(4));
        assert_eq!(told(&seen, second(4)), (1, "failing", true));
        seen.told(&report(2, "healthy"), second(5));
        // And if it is heard through etcd only since, then etcd is right.
        seen.told(&report(1, "slow"), second(9));
        assert_eq!(told(&seen, second(9)), (1, "slow", true));
    }

    fn told(seen: &SeenVantage, now: Instant) -> (u64, &'static str, bool) {
        let site = "c1@east".parse().unwrap();
        (seen.sequence(), seen.sites()[&site].health().name(), seen.is_fresh(now))
    }

    fn report(sequence: u64, health: &str) -> VantageReport {
        let health = Health::ALL.into_iter().find(|one| one.name() == health).unwrap();
        let site = SightedSite { health, ..SightedSite::default() };
        VantageReport { sequence, sites: [("c1@east".to_owned(), site)].into() }
    }
}
