//! What is known of one site: what it says of itself, and whether it answers.

use std::collections::BTreeMap;

use tokio::time::Instant;
use topology::wire::report::SiteReport;

/// How many probes in a row a site may not answer before it counts as unreachable: one may be lost.
const MISSES: u32 = 2;
/// The alert of a site that says so of itself.
const AT_RISK: &str = "at-risk";
const AT_RISK_DETAIL: &str =
    "the site serves, but too few voters replicate: the loss of its region would lose writes";

/// A site that nothing is known of.
pub(super) static UNKNOWN: SeenSite =
    SeenSite { heard: None, stored: None, misses: 0, missed_since: None, alerts: BTreeMap::new() };

#[derive(Clone, Debug, Default)]
pub struct SeenSite {
    /// What the agent last answered to this observer.
    heard: Option<SiteReport>,
    /// What the agent last wrote into etcd.
    stored: Option<SiteReport>,
    misses: u32,
    missed_since: Option<Instant>,
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
            self.heard = Some(report);
            self.misses = 0;
            self.missed_since = None;
        } else {
            self.misses = self.misses.saturating_add(1);
            self.missed_since.get_or_insert(now);
        }
        self.look_for_alerts(now);
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

    /// Returns the newest word of the site: its own answer, or what it wrote while it is unheard.
    #[must_use]
    pub fn report(&self) -> Option<&SiteReport> {
        let fresh = self.heard.as_ref().filter(|_| self.is_reachable());
        fresh.or(self.stored.as_ref()).or(self.heard.as_ref())
    }
}
