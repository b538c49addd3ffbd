//! Operations, the regions they drain, and the freeze: created, replaced and ended by
//! compare-and-swap.

use client::etcd::{EtcdError, Stored, Written};
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::lever::{FreezeRecord, RegionRecord};
use topology::wire::operation::OperationRecord;
use topology::{CellId, RegionId};
use tracing::warn;

use super::etcd::{Store, json};
use super::{Freeze, Kept, operation};
use crate::decide::operation::Operation;

/// How many operations are kept after they have ended: a month of three a day. The audit log tells of
/// those before.
pub const ENDED_KEPT: u16 = 100;

/// What is stored about operations, read when it matters.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    pub going_on: Vec<(String, Kept<Operation>)>,
    /// Those that this version does not understand: of a newer one that goes on beside it. They count as
    /// going on.
    pub unread: Vec<String>,
    /// The last ones that have ended, the last one first.
    pub ended: Vec<(String, Operation)>,
    /// The ids of the last ones that have ended, whether or not they are understood.
    ended_ids: Vec<String>,
}

impl Operations {
    /// Returns the id of the next operation. Numbered one after the other, so that of two that are
    /// begun at once one comes too late, and is checked again.
    #[must_use]
    pub fn next_id(&self) -> String {
        let going_on = self.going_on.iter().map(|(id, _)| id);
        let known = going_on.chain(&self.unread).chain(&self.ended_ids);
        let last = known.filter_map(|id| id.strip_prefix("op-")?.parse::<u64>().ok()).max();
        format!("op-{:06}", last.unwrap_or(0) + 1)
    }
}

impl Store {
    /// Reads all operations.
    pub async fn operations(&self) -> Result<Operations, EtcdError> {
        let going_on = self.etcd.read(&[key::OPERATIONS]).await?;
        // Second, so that one that ends meanwhile is found twice and not missed.
        let ended = self.etcd.read_last(key::ENDED, ENDED_KEPT).await?;
        let mut operations = Operations::default();
        for entry in &going_on {
            let Some(id) = entry.key.strip_prefix(key::OPERATIONS) else { continue };
            let Stored { revision, version, .. } = *entry;
            match understood(entry) {
                Some(value) => {
                    let kept = Kept { revision, version, value };
                    operations.going_on.push((id.to_owned(), kept));
                }
                None => operations.unread.push(id.to_owned()),
            }
        }
        for entry in &ended {
            let Some(id) = entry.key.strip_prefix(key::ENDED) else { continue };
            operations.ended_ids.push(id.to_owned());
            operations.ended.extend(understood(entry).map(|value| (id.to_owned(), value)));
        }
        Ok(operations)
    }

    /// Returns an operation that has ended, if it is kept.
    pub async fn ended_operation(&self, id: &str) -> Result<Option<Operation>, EtcdError> {
        let key = key::ended(id);
        let stored = self.etcd.read(&[&key]).await?;
        Ok(stored.iter().find(|entry| entry.key == key).and_then(understood))
    }

    /// Writes a new operation, or returns `None` if the id has been taken.
    pub async fn create_operation(
        &self,
        id: &str,
        value: &Operation,
    ) -> Result<Option<Written>, EtcdError> {
        let (key, ended) = (key::operation(id), key::ended(id));
        self.etcd.swap(&key, &record(value), &[(&key, 0), (&ended, 0)]).await
    }

    /// Replaces an operation, or returns `None` if somebody else has.
    pub async fn replace_operation(
        &self,
        id: &str,
        revision: u64,
        value: &Operation,
    ) -> Result<Option<Written>, EtcdError> {
        let key = key::operation(id);
        self.etcd.swap(&key, &record(value), &[(&key, revision)]).await
    }

    /// Moves an operation that has ended to where it is no longer read all the time, and forgets the
    /// oldest. Whoever sees one does so; twice does no harm.
    pub async fn end_operation(&self, id: &str, value: &Operation) -> Result<(), EtcdError> {
        self.etcd.put(&key::ended(id), record(value)).await?;
        let key = key::operation(id);
        self.etcd.remove(&key, &format!("{key}\0")).await?;
        self.etcd.shorten(key::ENDED, ENDED_KEPT).await
    }

    /// Drains a region or makes it a target again, if the operation that says so is still at this
    /// revision: an executor that comes too late changes nothing. Returns whether it was written.
    pub async fn mark_region(
        &self,
        region: &RegionId,
        mark: &RegionRecord,
        revision: u64,
    ) -> Result<bool, EtcdError> {
        let (key, operation) = (key::region(region), key::operation(&mark.operation));
        let written = self.etcd.swap(&key, &json(mark), &[(&operation, revision)]).await?;
        Ok(written.is_some())
    }

    /// Replaces a cell's record at this revision, if the operation that says so is still at that one: an
    /// executor that comes too late changes nothing. Returns whether it was written.
    pub async fn replace_cell_for(
        &self,
        operation: (&str, u64),
        (cell, revision): (&CellId, u64),
        routed: &RoutedCell,
    ) -> Result<bool, EtcdError> {
        let (key, of) = (key::cell(cell), key::operation(operation.0));
        let value = json(&CellRecord::from(routed));
        let written = self.etcd.swap(&key, &value, &[(&key, revision), (&of, operation.1)]).await?;
        Ok(written.is_some())
    }

    /// Replaces what is said about a freeze, or returns `None` if somebody else has.
    pub async fn replace_freeze(
        &self,
        freeze: &Freeze,
        revision: u64,
    ) -> Result<Option<Written>, EtcdError> {
        let value = json(&FreezeRecord::from(freeze));
        self.etcd.swap(key::FREEZE, &value, &[(key::FREEZE, revision)]).await
    }
}

fn record(value: &Operation) -> Vec<u8> {
    json(&operation::record(value))
}

fn understood(entry: &Stored) -> Option<Operation> {
    let record = serde_json::from_slice::<OperationRecord>(&entry.value);
    match record.map_err(Into::into).and_then(operation::operation) {
        Ok(value) => Some(value),
        Err(err) => {
            warn!(key = entry.key, error = %err, "operation not understood");
            None
        }
    }
}
