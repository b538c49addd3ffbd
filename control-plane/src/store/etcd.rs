//! The store: read everything, create what is missing, replace one cell if nobody else has.

use std::time::Duration;

use client::Etcd;
use client::etcd::{EtcdError, Heard, PutIf, Stored, Written};
use runtime::clock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::snapshot::RoutedCell;
use topology::wire::audit::AuditRecord;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::placement::PlacementRecord;
use topology::wire::vantage::VantageReport;
use topology::{CellId, Placement, RegionId, Spec};
use tracing::{debug, warn};

use super::Reading;

/// Pause before a write is tried again whose outcome is unknown.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a write whose outcome is unknown is tried again: longer than an election in etcd takes
/// (`docs/decisions/0002`), so that a decision once made survives it.
const SETTLE: Duration = Duration::from_secs(5);

/// How long what a person asks for is tried: a busy member is no reason to send them away, and one
/// that is gone shall be told soon.
const PATIENT: Duration = Duration::from_secs(2);

/// What is read again and again. The audit log is not: it is long, and nothing is decided by it.
const READ: [&str; 10] = [
    key::GENERATION,
    key::PLACEMENT,
    key::CELLS,
    key::LEASES,
    key::SITES,
    key::ROUTERS,
    key::VANTAGES,
    key::OPERATIONS,
    key::REGIONS,
    key::FREEZE,
];

/// What somebody waits for: a change there is read at once.
const HINTS: [&str; 6] =
    [key::CELLS, key::LEASES, key::VANTAGES, key::OPERATIONS, key::REGIONS, key::FREEZE];

/// How many entries the audit log has: years of acts of people, some megabytes at most.
pub const AUDIT_KEPT: u16 = 1000;

/// Asks again for a while if no member answers: for reads, and for writes that find themselves by their
/// value.
pub async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, EtcdError>
where
    F: Future<Output = Result<T, EtcdError>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(err) if begun.elapsed() < PATIENT => {
                debug!(error = %err, "etcd does not answer yet");
                tokio::time::sleep(AGAIN).await;
            }
            result => return result,
        }
    }
}

/// A handle on what is stored. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) etcd: Etcd,
    vantage: RegionId,
}

/// What a cell's replacement is conditional on: nobody has changed it, nor renewed its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unchanged {
    pub cell: u64,
    /// The lease's revision, 0 if there is none; `None` where a renewal does not matter.
    pub lease: Option<u64>,
}

impl Store {
    /// Makes a handle that asks the region's own member first.
    #[must_use]
    pub fn connect(spec: &Spec, nearest: &RegionId) -> Self {
        let etcd = Etcd::connect(spec.etcd_endpoints(Some(nearest))).over(spec.round_trip);
        Self { etcd, vantage: nearest.clone() }
    }

    /// Reads all that decisions rest on, at one revision, from the member that told of a change.
    pub async fn read(&self, heard: &Heard) -> Result<Reading, EtcdError> {
        let read_unix_ms = clock::unix_millis();
        let reading = Reading::parse(&self.etcd.read_heard(heard, &READ).await?);
        let leases = reading.leases.iter();
        let renewed = leases
            .filter_map(|(cell, kept)| {
                Some((cell.clone(), heard.at(&key::lease(cell), kept.version)?))
            })
            .collect();
        Ok(Reading { renewed, read_unix_ms, ..reading })
    }

    /// Wakes the waiter when something that decisions rest on may have changed, until stopped.
    pub async fn hint(&self, heard: &Heard, wake: &Notify, stop: &CancellationToken) {
        self.etcd.hint(&HINTS, heard, wake, stop).await;
    }

    /// Writes the placement if there is none.
    pub async fn create_placement(&self, placement: &Placement) -> Result<PutIf, EtcdError> {
        let value = json(&PlacementRecord::from(placement));
        self.etcd.put_if(key::PLACEMENT, &value, &[(key::PLACEMENT, 0)]).await
    }

    /// Writes a cell's first activation if there is none.
    pub async fn create_cell(
        &self,
        cell: &CellId,
        routed: &RoutedCell,
    ) -> Result<PutIf, EtcdError> {
        let key = key::cell(cell);
        self.etcd.put_if(&key, &json(&CellRecord::from(routed)), &[(&key, 0)]).await
    }

    /// Replaces a cell's activation and returns where it was written, or `None` if somebody else
    /// changed it first. A write whose outcome is unknown is tried again for a while: it is found by its
    /// value if it had happened.
    pub async fn replace_cell(
        &self,
        cell: &CellId,
        routed: &RoutedCell,
        unchanged: Unchanged,
    ) -> Option<Written> {
        let (key, lease) = (key::cell(cell), key::lease(cell));
        let value = json(&CellRecord::from(routed));
        let mut expected = vec![(key.as_str(), unchanged.cell)];
        expected.extend(unchanged.lease.map(|revision| (lease.as_str(), revision)));
        let begun = Instant::now();
        loop {
            match self.etcd.swap(&key, &value, &expected).await {
                Ok(written) => return written,
                Err(err) if begun.elapsed() < SETTLE => {
                    warn!(%cell, error = %err, "write to etcd not confirmed, trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(err) => {
                    warn!(%cell, error = %err, "write to etcd given up");
                    return None;
                }
            }
        }
    }

    /// Writes what this vantage sees.
    pub async fn tell(&self, report: &VantageReport) -> Result<(), EtcdError> {
        self.etcd.put(&key::vantage(&self.vantage), json(report)).await
    }

    /// Writes an entry of the audit log, or writes it again with what came of it.
    pub async fn write_audit(&self, id: &str, record: &AuditRecord) -> Result<(), EtcdError> {
        self.etcd.put(&key::audit(id), json(record)).await
    }

    /// Returns the last entries of the audit log that can be understood, the last one first.
    pub async fn audit(&self, limit: u16) -> Result<Vec<(String, AuditRecord)>, EtcdError> {
        self.audit_page(None, limit).await.map(|(entries, _)| entries)
    }

    /// Returns the same of those before an id if one is given, and the id where the next page begins, if there is one.
    pub async fn audit_page(
        &self,
        before: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<(String, AuditRecord)>, Option<String>), EtcdError> {
        let stored = match before {
            None => self.etcd.read_last(key::AUDIT, limit).await?,
            Some(id) => self.etcd.read_last_before(key::AUDIT, &key::audit(id), limit).await?,
        };
        let id = |entry: &Stored| Some(entry.key.strip_prefix(key::AUDIT)?.to_owned());
        let is_full = stored.len() == usize::from(limit);
        let next = stored.last().filter(|_| is_full).and_then(id);
        Ok((stored.iter().filter_map(audit_entry).collect(), next))
    }

    /// Forgets what the audit log has beyond its bound.
    pub async fn shorten_audit(&self) -> Result<(), EtcdError> {
        self.etcd.shorten(key::AUDIT, AUDIT_KEPT).await
    }

    /// Returns the entries of the audit log whose id ends so, the last one first.
    pub async fn audit_ending(&self, end: &str) -> Result<Vec<(String, AuditRecord)>, EtcdError> {
        let keys = self.etcd.read_last_keys(key::AUDIT, AUDIT_KEPT).await?;
        let mut entries = Vec::new();
        for key in keys.iter().filter(|key| key.ends_with(end)) {
            let stored = self.etcd.read(&[key]).await?;
            entries.extend(stored.iter().filter_map(audit_entry));
        }
        Ok(entries)
    }
}

fn audit_entry(entry: &Stored) -> Option<(String, AuditRecord)> {
    match serde_json::from_slice(&entry.value) {
        Ok(record) => Some((entry.key.strip_prefix(key::AUDIT)?.to_owned(), record)),
        Err(err) => {
            warn!(key = entry.key, error = %err, "audit entry not understood");
            None
        }
    }
}

pub(super) fn json(record: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record is plain JSON")
}
