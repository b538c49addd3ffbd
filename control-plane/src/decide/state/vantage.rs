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

#[derive(Clone, Debug)]
pub struct SeenVantage {
    sequence: u64,
    /// When its sequence was last seen to change. What is found at first may be years old.
    heard: Option<Instant>,
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
        let mut seen = Self { sequence: report.sequence, heard: None, sites: Arc::default() };
        seen.take(report, now);
        seen
    }

    pub(super) fn told(&mut self, report: &VantageReport, now: Instant) {
        if self.sequence == report.sequence {
            return;
        }
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
