//! What this observer knows, and when it learned it on its own clock.
//!
//! Deliberately holds no opinion: who is suspect, and what follows from that, is the business of
//! [`failover`](super::failover).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use topology::invariant::{Invariant, Violation};
use topology::snapshot::RoutedCell;
use topology::wire::report::{RouterReport, SiteReport};
use topology::{CellId, Placement, RegionId, SiteId};

use crate::store::{Kept, Lease, Reading};

/// How many probes in a row a site may not answer before it counts as unreachable: one may be lost.
const MISSES: u32 = 2;
/// How old the last reading of etcd may be to decide by it: two reads may fail.
const FRESH: Duration = Duration::from_millis(1500);

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
}

#[derive(Clone, Debug, Default)]
pub struct State {
    cells: BTreeMap<CellId, SeenCell>,
    sites: BTreeMap<SiteId, SeenSite>,
    routers: BTreeMap<String, RouterReport>,
    placement: Option<Arc<Placement>>,
    reads: Option<Reads>,
}

/// A cell as stored, and since when this observer has known it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCell {
    pub routed: RoutedCell,
    pub revision: u64,
    pub since: Instant,
    pub lease: Option<SeenLease>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLease {
    pub lease: Lease,
    pub revision: u64,
    /// When this observer first saw this revision: never before it was sent.
    pub since: Instant,
}

#[derive(Clone, Debug, Default)]
pub struct SeenSite {
    /// What the agent last answered to this observer.
    heard: Option<SiteReport>,
    /// What the agent last wrote into etcd.
    stored: Option<SiteReport>,
    misses: u32,
    missed_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Reads {
    newest: u64,
    last: Instant,
    /// Since when every read has succeeded.
    unbroken_since: Instant,
    failing: bool,
}

impl State {
    /// Folds a fact in, and tells which invariants it shows to be broken.
    pub fn saw(&mut self, fact: Fact, now: Instant) -> Vec<Violation> {
        match fact {
            Fact::Read(reading) => return self.read(reading, now),
            Fact::ReadFailed => {
                if let Some(reads) = &mut self.reads {
                    reads.failing = true;
                }
            }
            Fact::Wrote { cell, kept } => {
                if let Some(reads) = &mut self.reads {
                    reads.newest = reads.newest.max(kept.revision);
                }
                return self.saw_cell(cell, kept, now).into_iter().collect();
            }
            Fact::Probed { site, answer } => {
                self.sites.entry(site).or_default().probed(answer, now);
            }
        }
        Vec::new()
    }

    fn read(&mut self, reading: Reading, now: Instant) -> Vec<Violation> {
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
        let mut violations = Vec::new();
        for (cell, kept) in reading.cells {
            violations.extend(self.saw_cell(cell, kept, now));
        }
        for (cell, seen) in &mut self.cells {
            seen.saw_lease(reading.leases.get(cell), now);
        }
        for site in self.sites.values_mut() {
            site.stored = None;
        }
        for (site, report) in reading.sites {
            self.sites.entry(site).or_default().stored = Some(report);
        }
        self.routers = reading.routers;
        if let Some(placement) = reading.placement {
            self.placement = Some(Arc::new(placement));
        }
        violations
    }

    fn saw_cell(
        &mut self,
        cell: CellId,
        kept: Kept<RoutedCell>,
        now: Instant,
    ) -> Option<Violation> {
        let Some(seen) = self.cells.get_mut(&cell) else {
            let Kept { revision, value: routed } = kept;
            self.cells.insert(cell, SeenCell { routed, revision, since: now, lease: None });
            return None;
        };
        let (known, offered) = (seen.routed.activation.epoch, kept.value.activation.epoch);
        if offered < known {
            let witness = format!("cell {cell} went from epoch {known} back to {offered}");
            return Some(Violation { invariant: Invariant::I2, witness });
        }
        if kept.revision > seen.revision {
            seen.routed = kept.value;
            seen.revision = kept.revision;
            seen.since = now;
        }
        None
    }

    #[must_use]
    pub fn cells(&self) -> &BTreeMap<CellId, SeenCell> {
        &self.cells
    }

    /// Returns what is known of a site; nothing at first.
    #[must_use]
    pub fn site(&self, cell: &CellId, region: &RegionId) -> SeenSite {
        let site = SiteId { cell: cell.clone(), region: region.clone() };
        self.sites.get(&site).cloned().unwrap_or_default()
    }

    #[must_use]
    pub fn sites(&self) -> &BTreeMap<SiteId, SeenSite> {
        &self.sites
    }

    #[must_use]
    pub fn routers(&self) -> &BTreeMap<String, RouterReport> {
        &self.routers
    }

    #[must_use]
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_deref()
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

impl SeenCell {
    /// Returns the lease's revision for a conditional write: 0 if there is none.
    #[must_use]
    pub fn lease_revision(&self) -> u64 {
        self.lease.as_ref().map_or(0, |lease| lease.revision)
    }

    fn saw_lease(&mut self, kept: Option<&Kept<Lease>>, now: Instant) {
        let same = |seen: &SeenLease| kept.is_some_and(|kept| kept.revision == seen.revision);
        if !self.lease.as_ref().is_some_and(same) {
            self.lease = kept.map(|kept| SeenLease {
                lease: kept.value.clone(),
                revision: kept.revision,
                since: now,
            });
        }
    }
}

impl SeenSite {
    fn probed(&mut self, answer: Option<SiteReport>, now: Instant) {
        if let Some(report) = answer {
            self.heard = Some(report);
            self.misses = 0;
            self.missed_since = None;
        } else {
            self.misses = self.misses.saturating_add(1);
            self.missed_since.get_or_insert(now);
        }
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

#[cfg(test)]
mod tests;
