//! What control planes noticed and decided about a cell: written once each, the last ones kept.

use client::etcd::EtcdError;
use topology::CellId;
use topology::wire::evidence::EvidenceRecord;
use topology::wire::key;
use tracing::warn;

use super::etcd::{Store, json};

/// Entries kept of a cell, by all control planes together: some kilobytes each, and a bad night has a
/// few dozen.
const KEPT: u16 = 60;

impl Store {
    /// Writes an entry, and forgets what is beyond the bound.
    pub async fn write_evidence(
        &self,
        cell: &CellId,
        record: &EvidenceRecord,
    ) -> Result<(), EtcdError> {
        let EvidenceRecord { at_unix_ms, vantage, what, .. } = record;
        self.etcd.put(&key::evidence(cell, *at_unix_ms, vantage, what), json(record)).await?;
        self.etcd.shorten(&key::evidence_of(cell), KEPT).await
    }

    /// Returns what is kept of a cell, the last one first.
    pub async fn evidence(&self, cell: &CellId) -> Result<Vec<EvidenceRecord>, EtcdError> {
        let stored = self.etcd.read_last(&key::evidence_of(cell), KEPT).await?;
        let records = stored.iter().filter_map(|entry| {
            let record = serde_json::from_slice(&entry.value);
            record
                .map_err(|err| warn!(key = entry.key, error = %err, "evidence not understood"))
                .ok()
        });
        Ok(records.collect())
    }
}
