//! The record lease: the active site's right to serve, as a record in etcd that it keeps rewriting.
//!
//! Not an etcd lease: those come in whole seconds, are prolonged by a full TTL when etcd's leader
//! changes, and could be renewed by a deposed leader (`docs/decisions/0002`).

use runtime::clock::BootTime;
use topology::wire::agent::Renewal;
use topology::wire::key;
use topology::wire::lease::LeaseRecord;
use topology::{CellId, Epoch, RegionId};

use crate::Etcd;
use crate::etcd::{EtcdError, PutIf};

/// One site's claim on a cell's lease, under one epoch.
#[derive(Clone, Debug)]
pub struct Lease {
    etcd: Etcd,
    cell: CellId,
    holder: RegionId,
    epoch: Epoch,
    sequence: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The cell's activation has changed: whoever changed it decides who serves now.
    #[error("renew the lease of cell {cell} under epoch {epoch}: the epoch is over")]
    Over { cell: CellId, epoch: Epoch },
    /// Nobody knows whether the record was written. The right is not extended.
    #[error("renew the lease of cell {cell}")]
    Unknown { cell: CellId, source: EtcdError },
}

impl Lease {
    #[must_use]
    pub fn new(etcd: Etcd, cell: CellId, holder: RegionId, epoch: Epoch) -> Self {
        // Counted from where no earlier life of the holder counted: a renewal whose answer was lost is
        // found again by its value, and one of the life before must not be taken for it.
        Self { etcd, cell, holder, epoch, sequence: BootTime::now().as_nanos() }
    }

    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Renews, if the cell's activation is still at `activation_revision`. Returns when the first
    /// try was *sent*: the right counts from there, because observers count from seeing it.
    ///
    /// From then on `sending` may tell them of it. Never sooner: they would count from before the right
    /// does.
    pub async fn renew(
        &mut self,
        activation_revision: u64,
        sending: impl FnOnce(Renewal),
    ) -> Result<BootTime, RenewError> {
        self.sequence += 1;
        let record = LeaseRecord {
            holder: self.holder.to_string(),
            epoch: self.epoch.0,
            sequence: self.sequence,
        };
        let value = serde_json::to_vec(&record).expect("a lease is plain JSON");
        let (lease, activation) = (key::lease(&self.cell), key::cell(&self.cell));
        let sent = BootTime::now();
        sending(Renewal { epoch: self.epoch.0, sequence: self.sequence });
        match self.etcd.put_if(&lease, &value, &[(&activation, activation_revision)]).await {
            Ok(PutIf::Done { .. }) => Ok(sent),
            Ok(PutIf::Stale) => {
                Err(RenewError::Over { cell: self.cell.clone(), epoch: self.epoch })
            }
            Err(source) => Err(RenewError::Unknown { cell: self.cell.clone(), source }),
        }
    }
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Etcd")
    }
}
