//! What runs of drills came to: written by those who run them, and only read here.

use std::sync::Arc;

use client::etcd::{EtcdError, Heard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use topology::wire::drill::{DrillRecord, KEPT};
use topology::wire::key;
use tracing::warn;

use super::etcd::Store;

impl Store {
    /// Returns the runs that can be understood, with their ids, the newest first.
    pub async fn drills(&self) -> Result<Vec<(String, DrillRecord)>, EtcdError> {
        let stored = self.etcd.read_last(key::DRILLS, KEPT).await?;
        let runs = stored.iter().filter_map(|entry| {
            let id = entry.key.strip_prefix(key::DRILLS)?.to_owned();
            match serde_json::from_slice(&entry.value) {
                Ok(record) => Some((id, record)),
                Err(err) => {
                    warn!(key = entry.key, error = %err, "run of a drill not understood");
                    None
                }
            }
        });
        Ok(runs.collect())
    }

    /// Wakes the waiter when a run may have been written, until stopped.
    pub async fn hint_drills(&self, wake: &Arc<Notify>, stop: &CancellationToken) {
        // Nobody waits for it so much that a majority could not be asked.
        self.etcd.hint(&[key::DRILLS], &Heard::default(), wake, stop).await;
    }
}
