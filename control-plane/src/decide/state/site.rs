//! What is known of one site: what it says of itself, and whether it answers.

use std::collections::BTreeMap;

use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;
use topology::wire::vantage::{Health, SightedSite};

use super::flaps::Flaps;
use super::sighting::{Deep, Sighting};

/// How many probes in a row a site may not answer before it counts as unreachable: one may be lost.
const MISSES: u32 = 2;
/// The alert of a site that says so of itself.
const AT_RISK: &str = "at-risk";
const AT_RISK_DETAIL: &str =
    "the site serves, but too few voters replicate: the loss of its region would lose writes";

/// A site that nothing is known of.
pub(super) static UNKNOWN: SeenSite = SeenSite {
    heard: None,
    stored: None,
    misses: 0,
    missed_since: None,
    back: None,
    sighting: Sighting::UNSEEN,
    flaps: Flaps::NONE,
    ails_since: None,
    full_since: None,
    last_lags: BTreeMap::new(),
    alerts: BTreeMap::new(),
};

#[derive(Clone, Debug, Default)]
pub struct SeenSite {
    /// What the agent last answered to this observer.
    heard: Option<SiteReport>,
    /// What the agent last wrote into etcd.
    stored: Option<SiteReport>,
    misses: u32,
    missed_since: Option<Instant>,
    /// When it last answered after it had been unreachable, or for the first time.
    back: Option<Instant>,
    sighting: Sighting,
    flaps: Flaps,
    /// Since when it has said of itself that its database, its disk or its services do not work.
    ails_since: Option<Instant>,
    /// Since when it has said that it serves, and that its database has no room to write in.
    full_since: Option<Instant>,
    /// How far the standbys were behind when its database last answered as a primary.
    last_lags: BTreeMap<String, u64>,
    alerts: BTreeMap<String, Alert>,
}

/// Something a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub detail: String,
    /// When this observer first saw it.
    pub since: Instant,
}

impl SeenSite {
    pub(super) fn probed(&mut self, answer: Option<SiteReport>, now: Instant) {
        if let Some(report) = answer {
            if self.unreachable_since().is_some() || self.heard.is_none() {
                self.back = Some(now);
            }
            self.ails_since = ails(&report).then(|| self.ails_since.unwrap_or(now));
            let serves_full = report.tenure == TenureName::Serving && report.is_full();
            self.full_since = serves_full.then(|| self.full_since.unwrap_or(now));
            if report.postgres == "primary" {
                self.last_lags.clone_from(&report.lag_bytes);
            }
            self.heard = Some(report);
            self.misses = 0;
            self.missed_since = None;
        } else {
            self.misses = self.misses.saturating_add(1);
            self.missed_since.get_or_insert(now);
        }
        self.flaps.saw(self.health().0.is_bad(), now);
        self.look_for_alerts(now);
    }

    pub(super) fn tried(&mut self, deep: Deep, now: Instant) {
        self.sighting.saw(deep, now);
        self.flaps.saw(self.health().0.is_bad(), now);
    }

    pub(super) fn stored(&mut self, report: Option<SiteReport>, now: Instant) {
        self.stored = report;
        self.look_for_alerts(now);
    }

    /// Keeps since when each alert has been seen.
    fn look_for_alerts(&mut self, now: Instant) {
        let report = self.report();
        let at_risk = report.filter(|report| report.at_risk);
        let at_risk = at_risk.map(|_| (AT_RISK.to_owned(), AT_RISK_DETAIL.to_owned()));
        let told = report.map(|report| report.alerts.clone()).unwrap_or_default();
        let alerts = told.into_iter().chain(at_risk).map(|(name, detail)| {
            let since = self.alerts.get(&name).map_or(now, |alert| alert.since);
            (name, Alert { detail, since })
        });
        self.alerts = alerts.collect();
    }

    /// Returns what a person should look at, by name.
    #[must_use]
    pub fn alerts(&self) -> &BTreeMap<String, Alert> {
        &self.alerts
    }

    /// Returns since when the site has not answered, if that is more than one lost probe.
    #[must_use]
    pub fn unreachable_since(&self) -> Option<Instant> {
        self.missed_since.filter(|_| self.misses >= MISSES)
    }

    /// Returns whether the site answers this observer's probes.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.heard.is_some() && self.unreachable_since().is_none()
    }

    /// Returns whether the site has ever answered this observer.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Returns how the site is by this observer's own probes, and since when.
    #[must_use]
    pub fn health(&self) -> (Health, Option<Instant>) {
        if let Some(since) = self.unreachable_since() {
            return (Health::Unreachable, Some(since));
        }
        match self.sighting.health() {
            // Its services are not asked, or not yet: that it answers is all there is.
            (Health::Unknown, _) if self.heard.is_some() => (Health::Healthy, self.back),
            seen => seen,
        }
    }

    /// Returns since when the site has been coming and going, if it has.
    #[must_use]
    pub fn flapping_since(&self, now: Instant) -> Option<Instant> {
        self.flaps.since(now)
    }

    /// Returns since when the site itself has said that its database, its disk or its services do not
    /// work.
    #[must_use]
    pub fn ails_since(&self) -> Option<Instant> {
        self.ails_since.filter(|_| self.is_reachable())
    }

    /// Returns since when the site has said that it serves, and that its database has no room to write in.
    #[must_use]
    pub fn full_since(&self) -> Option<Instant> {
        self.full_since.filter(|_| self.is_reachable())
    }

    /// Returns how far each standby was behind when this site's database last said so.
    #[must_use]
    pub fn last_lags(&self) -> &BTreeMap<String, u64> {
        &self.last_lags
    }

    /// Returns what others are told of the site.
    #[must_use]
    pub fn sighted(&self) -> SightedSite {
        let report = self.report();
        SightedSite {
            reachable: self.is_reachable(),
            health: self.health().0,
            tenure: report.map(|report| report.tenure),
            epoch: report.map(|report| report.epoch),
            deep: self.sighting.deep(),
        }
    }

    /// Returns the newest word of the site: its own answer, or what it wrote while it is unheard.
    #[must_use]
    pub fn report(&self) -> Option<&SiteReport> {
        let fresh = self.heard.as_ref().filter(|_| self.is_reachable());
        fresh.or(self.stored.as_ref()).or(self.heard.as_ref())
    }
}

/// Only of a site that serves: what a standby lacks costs no user anything.
fn ails(report: &SiteReport) -> bool {
    report.tenure == TenureName::Serving
        && (report.postgres != "primary"
            || report.has_bad_disk()
            || report.services.values().any(|answers| !answers))
}
