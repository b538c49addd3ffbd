//! What this observer knows, and when it learned it on its own clock.
//!
//! Deliberately holds no opinion: who is suspect, and what follows from that, is the business of
//! [`failover`](super::failover).

mod cell;
mod flaps;
pub mod intent;
mod renewals;
mod sighting;
mod site;
mod slow;
mod traffic;
mod vantage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use topology::invariant::Violation;
use topology::snapshot::RoutedCell;
use topology::wire::report::{RouterReport, SiteReport};
use topology::wire::vantage::VantageReport;
use topology::{CellId, Epoch, Phase, Placement, RegionId, SiteId, Version};

use crate::store::{Kept, Lease, Reading};

pub use cell::{Frozen, Older, SeenCell, SeenLease};
pub use intent::{Intent, SeenOperation};
use renewals::Renewals;
pub use sighting::Deep;
pub use site::{Alert, SeenSite};
pub use traffic::{Lately, SeenTraffic};
pub use vantage::{SeenVantage, Sighted};

/// How old the last reading of etcd may be to decide by it: two reads may fail.
const FRESH: Duration = Duration::from_millis(1500);

/// A renewal that takes longer to be in force counts from its being sent. What is usual over the longest
/// ways is less: renewals that follow each other would seem to have been missed.
const LATE: Duration = Duration::from_millis(800);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Fact {
    /// etcd was read.
    Read(Reading),
    /// No member of etcd answered.
    ReadFailed,
    /// This process wrote a cell.
    Wrote { cell: CellId, kept: Kept<RoutedCell> },
    /// A site's agent answered a probe with its report, or did not.
    Probed { site: SiteId, answer: Option<SiteReport> },
    /// A site was asked through gateway, session and database.
    Tried { site: SiteId, deep: Deep },
    /// A site has said that it sends a renewal of its lease: with this number, under this epoch.
    Renewing { site: SiteId, epoch: Epoch, sequence: u64 },
    /// Another vantage has said itself what it sees.
    Told { vantage: RegionId, report: VantageReport },
    /// This process would have moved a cell, and changes nothing.
    Frozen { cell: CellId, why: String },
}

#[derive(Clone, Debug, Default)]
pub struct State {
    cells: BTreeMap<CellId, SeenCell>,
    sites: BTreeMap<SiteId, SeenSite>,
    routers: BTreeMap<String, RouterReport>,
    traffic: BTreeMap<CellId, SeenTraffic>,
    vantages: BTreeMap<RegionId, SeenVantage>,
    renewals: BTreeMap<CellId, Renewals>,
    placement: Option<Arc<Placement>>,
    placement_is_stored: bool,
    /// Cells that are left as they are though their active site is lost.
    frozen: BTreeMap<CellId, Frozen>,
    intent: Intent,
    reads: Option<Reads>,
}

#[derive(Clone, Copy, Debug)]
struct Reads {
    newest: Version,
    last: Instant,
    /// Since when every read has succeeded.
    unbroken_since: Instant,
    failing: bool,
}

impl State {
    /// Folds a fact in, and tells which invariants it shows to be broken. What it costs is in proportion
    /// to what the fact is about: probes come by the thousand.
    pub fn saw(&mut self, fact: Fact, now: Instant) -> Vec<Violation> {
        let about = fact.cell().cloned();
        let violations = self.fold(fact, now);
        let cells = about.map_or_else(|| self.cells.keys().cloned().collect(), |cell| vec![cell]);
        for cell in &cells {
            self.compare_with_sites(cell, now);
        }
        violations
    }

    fn fold(&mut self, fact: Fact, now: Instant) -> Vec<Violation> {
        match fact {
            Fact::Read(reading) => return self.read(reading, now),
            Fact::ReadFailed => {
                if let Some(reads) = &mut self.reads {
                    reads.failing = true;
                }
            }
            Fact::Wrote { cell, kept } => {
                if let Some(reads) = &mut self.reads {
                    reads.newest = reads.newest.max(kept.version);
                }
                self.saw_cell(cell, kept, now);
            }
            Fact::Probed { site, answer } => {
                self.sites.entry(site).or_default().probed(answer, now);
            }
            Fact::Tried { site, deep } => self.sites.entry(site).or_default().tried(deep, now),
            Fact::Renewing { site, epoch, sequence } => {
                let lease = Lease { holder: site.region, epoch, sequence };
                self.renewals.entry(site.cell).or_default().sent(lease, now);
            }
            Fact::Told { vantage, report } => {
                self.vantages.entry(vantage).or_default().told_itself(&report, now);
            }
            Fact::Frozen { cell, why } => {
                let since = self.frozen.get(&cell).map_or(now, |frozen| frozen.since);
                self.frozen.insert(cell, Frozen { why, since });
            }
        }
        Vec::new()
    }

    fn read(&mut self, mut reading: Reading, now: Instant) -> Vec<Violation> {
        let newest = reading.newest();
        let before = self.reads;
        // Old etcd versions answer stale after a pause, and a read may have overtaken our own write:
        // what is known is newer (I2).
        if before.is_some_and(|before| newest < before.newest) {
            return Vec::new();
        }
        let unbroken_since = match before {
            Some(before) if !before.failing && now - before.last < FRESH => before.unbroken_since,
            Some(_) | None => now,
        };
        self.reads = Some(Reads { newest, last: now, unbroken_since, failing: false });
        self.intent.read(&mut reading, now);
        let mut violations = Vec::new();
        for (cell, seen) in &mut self.cells {
            violations.extend(seen.compare(cell, reading.cells.get(cell), now));
        }
        for (cell, kept) in reading.cells {
            self.saw_cell(cell, kept, now);
        }
        for (cell, seen) in &mut self.cells {
            let heard = reading.renewed.get(cell).map_or(now, |heard| now.min(*heard));
            let lease = reading.leases.get(cell);
            let sent = lease.and_then(|kept| self.renewals.get(cell)?.said(&kept.value));
            let sent = sent.filter(|sent| heard.saturating_duration_since(*sent) >= LATE);
            if seen.saw_lease(lease, sent.unwrap_or(heard)) {
                self.frozen.remove(cell);
            }
        }
        for (id, site) in &mut self.sites {
            if !reading.sites.contains_key(id) {
                site.stored(None, now);
            }
        }
        for (site, report) in reading.sites {
            self.sites.entry(site).or_default().stored(Some(report), now);
        }
        // What users get is held against what the vantages see now.
        self.hear_vantages(&reading.vantages, now);
        self.hear_routers(reading.routers, now);
        self.placement_is_stored = reading.placement.is_some();
        if let Some(placement) = reading.placement {
            self.placement = Some(Arc::new(placement));
        }
        violations
    }

    fn hear_routers(&mut self, routers: BTreeMap<String, RouterReport>, now: Instant) {
        for (id, report) in &routers {
            let before = self.routers.get(id).map(|before| before.sequence);
            // What is found at first was told at some other time.
            if before.is_none_or(|sequence| sequence == report.sequence) {
                continue;
            }
            for (cell, seconds) in &report.traffic {
                let Ok(cell) = cell.parse::<CellId>() else { continue };
                let active = self.cells.get(&cell).and_then(|seen| seen.routed.activation.holder());
                let active =
                    active.map(|region| SiteId { cell: cell.clone(), region: region.clone() });
                let doubted = active.is_some_and(|active| self.is_doubted(&active, now));
                self.traffic.entry(cell).or_default().told(seconds, doubted, now);
            }
        }
        self.routers = routers;
    }

    fn hear_vantages(&mut self, vantages: &BTreeMap<RegionId, Arc<VantageReport>>, now: Instant) {
        self.vantages.retain(|vantage, seen| vantages.contains_key(vantage) || seen.is_fresh(now));
        for (vantage, report) in vantages {
            match self.vantages.get_mut(vantage) {
                Some(seen) => seen.told(report, now),
                None => {
                    self.vantages.insert(vantage.clone(), SeenVantage::first(report, now));
                }
            }
        }
    }

    /// Takes a newer record of a cell; one of an earlier epoch never (I2).
    fn saw_cell(&mut self, cell: CellId, kept: Kept<RoutedCell>, now: Instant) {
        let activation = &kept.value.activation;
        let known = self.cells.get(&cell);
        let newer = known.is_none_or(|seen| {
            activation.epoch >= seen.routed.activation.epoch && kept.version > seen.version
        });
        if !newer {
            return;
        }
        // Somebody acts, or a person did.
        if matches!(activation.phase, Phase::Promoting { .. } | Phase::Switching { .. }) {
            self.frozen.remove(&cell);
        }
        let before = self.cells.remove(&cell);
        let seen = SeenCell::after(before, kept, now);
        // What users got was another site's doing.
        if seen.moved == Some(now)
            && let Some(traffic) = self.traffic.get_mut(&cell)
        {
            traffic.moved(now);
        }
        self.cells.insert(cell, seen);
    }

    /// Notes whether a site of the cell knows a later epoch than this observer.
    fn compare_with_sites(&mut self, cell: &CellId, now: Instant) {
        let latest = self.latest_of_sites(cell);
        if let Some(seen) = self.cells.get_mut(cell) {
            let ahead = latest > seen.routed.activation.epoch;
            seen.ahead_since = ahead.then(|| seen.ahead_since.unwrap_or(now));
        }
    }

    /// Returns the latest epoch of a cell that anybody is known to have seen.
    #[must_use]
    pub fn latest_epoch(&self, cell: &CellId) -> Epoch {
        let known = self.cells.get(cell).map(|seen| seen.routed.activation.epoch);
        self.latest_of_sites(cell).max(known.unwrap_or_default())
    }

    fn latest_of_sites(&self, cell: &CellId) -> Epoch {
        let epochs = self.sites_of(cell).filter_map(|(_, site)| Some(Epoch(site.report()?.epoch)));
        epochs.max().unwrap_or_default()
    }

    #[must_use]
    pub fn cells(&self) -> &BTreeMap<CellId, SeenCell> {
        &self.cells
    }

    /// Returns what is known of a site; nothing at first.
    #[must_use]
    pub fn site(&self, cell: &CellId, region: &RegionId) -> &SeenSite {
        let site = SiteId { cell: cell.clone(), region: region.clone() };
        self.sites.get(&site).unwrap_or(&site::UNKNOWN)
    }

    /// Returns what is known of a cell's sites. They are neighbours, as their ids begin with the cell.
    pub fn sites_of(&self, cell: &CellId) -> impl Iterator<Item = (&SiteId, &SeenSite)> {
        let least = "a".parse().expect("no region's id is less");
        let first = SiteId { cell: cell.clone(), region: least };
        self.sites.range(first.clone()..).take_while(move |(id, _)| id.cell == first.cell)
    }

    #[must_use]
    pub fn sites(&self) -> &BTreeMap<SiteId, SeenSite> {
        &self.sites
    }

    #[must_use]
    pub fn routers(&self) -> &BTreeMap<String, RouterReport> {
        &self.routers
    }

    /// Returns whether anything at all speaks against the site: what a vantage sees, or its own word.
    #[must_use]
    pub fn is_doubted(&self, site: &SiteId, now: Instant) -> bool {
        let own = self.sites.get(site);
        let rows = self.vantages.values().filter(|row| row.is_fresh(now));
        let mut told = rows.filter_map(|row| row.sites().get(site));
        own.is_some_and(|own| own.health().0.is_bad() || own.ails_since().is_some())
            || told.any(|sighted| sighted.health().is_bad())
    }

    /// Returns what a cell's users got lately; nothing at first.
    #[must_use]
    pub fn traffic(&self, cell: &CellId) -> Option<&SeenTraffic> {
        self.traffic.get(cell)
    }

    /// Returns what the control planes say they see, this one's own earlier words among them.
    #[must_use]
    pub fn vantages(&self) -> &BTreeMap<RegionId, SeenVantage> {
        &self.vantages
    }

    #[must_use]
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_deref()
    }

    /// Returns whether etcd has a placement: it may have had one before it went back in time.
    #[must_use]
    pub fn placement_is_stored(&self) -> bool {
        self.placement_is_stored
    }

    /// Returns the cells that are left as they are though their active site is lost, and why.
    #[must_use]
    pub fn frozen(&self) -> &BTreeMap<CellId, Frozen> {
        &self.frozen
    }

    /// Returns what people want.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Returns when etcd was last read, if ever.
    #[must_use]
    pub fn read_at(&self) -> Option<Instant> {
        self.reads.map(|reads| reads.last)
    }

    /// Returns since when etcd could be read without a gap.
    #[must_use]
    pub fn unbroken_since(&self) -> Option<Instant> {
        self.reads.map(|reads| reads.unbroken_since)
    }

    /// Returns whether etcd was read recently enough to decide by it.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.reads.is_some_and(|reads| now.saturating_duration_since(reads.last) < FRESH)
    }
}

impl Fact {
    /// Returns the cell that the fact is about; `None` if it is about all of them.
    #[must_use]
    pub fn cell(&self) -> Option<&CellId> {
        match self {
            Self::Read(_) | Self::ReadFailed | Self::Told { .. } => None,
            Self::Wrote { cell, .. } | Self::Frozen { cell, .. } => Some(cell),
            Self::Probed { site, .. } | Self::Tried { site, .. } | Self::Renewing { site, .. } => {
                Some(&site.cell)
            }
        }
    }
}

#[cfg(test)]
mod tests;
