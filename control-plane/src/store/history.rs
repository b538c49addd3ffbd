//! Where cells were active: one entry per cell and epoch, created and never changed.

use client::etcd::EtcdError;
use topology::CellId;
use topology::wire::history::HistoryRecord;
use topology::wire::key;
use tracing::warn;

use super::etcd::{Store, json};
use crate::decide::history::first_kept;

impl Store {
    /// Writes an entry unless somebody has, and forgets what is too old.
    pub async fn write_history(
        &self,
        cell: &CellId,
        record: &HistoryRecord,
    ) -> Result<(), EtcdError> {
        let key = key::history(cell, record.epoch);
        self.etcd.put_if(&key, &json(record), &[(&key, 0)]).await?;
        let records = self.history(cell).await?;
        match (records.first(), first_kept(&records, record.opened_unix_ms)) {
            (Some(oldest), Some(kept)) if oldest.epoch < kept.epoch => {
                let (first, end) = (key::history(cell, 0), key::history(cell, kept.epoch));
                self.etcd.remove(&first, &end).await
            }
            _ => Ok(()),
        }
    }

    /// Returns what is kept of a cell, in the order of its epochs.
    pub async fn history(&self, cell: &CellId) -> Result<Vec<HistoryRecord>, EtcdError> {
        let mut stored = self.etcd.read(&[&key::history_of(cell)]).await?;
        stored.sort_by(|one, other| one.key.cmp(&other.key));
        let records = stored.iter().filter_map(|entry| {
            let record = serde_json::from_slice(&entry.value);
            record
                .map_err(|err| warn!(key = entry.key, error = %err, "history not understood"))
                .ok()
        });
        Ok(records.collect())
    }
}
