//! What this observer knows of one cell's records, and since when.

use tokio::time::Instant;
use topology::invariant::{Invariant, Violation};
use topology::snapshot::RoutedCell;
use topology::{CellId, Epoch, Phase, Version};

use crate::decide::failover::silent_since;
use crate::store::{Kept, Lease};

/// A cell as stored, and since when this observer has known it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCell {
    pub routed: RoutedCell,
    pub revision: u64,
    pub version: Version,
    pub since: Instant,
    /// The same of its epoch: voters leave and join under it.
    pub epoch_since: Instant,
    pub lease: Option<SeenLease>,
    /// What etcd says instead, having gone back in time: an earlier epoch.
    pub older: Option<Older>,
    /// Since when a site of the cell has known a later epoch than this observer.
    pub ahead_since: Option<Instant>,
    /// When this observer last saw another site become the active one.
    pub moved: Option<Instant>,
    /// While a successor is elected, since when the last holder had not been heard.
    pub held: Option<Instant>,
    /// While a successor is elected, the first of the epochs that have followed each other since: in none of
    /// them anybody served.
    pub electing_from: Option<Epoch>,
}

/// A record of an epoch that was over before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// 0 where there is no record any more.
    pub epoch: Epoch,
    pub revision: u64,
    pub since: Instant,
}

/// A cell that is left as it is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    pub why: String,
    pub since: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLease {
    pub lease: Lease,
    pub revision: u64,
    pub version: Version,
    /// When this observer first saw this version, or heard of it or of its being sent: never before it
    /// was sent.
    pub since: Instant,
}

impl SeenCell {
    /// Takes a newer record.
    pub(super) fn after(before: Option<Self>, kept: Kept<RoutedCell>, now: Instant) -> Self {
        let Kept { revision, version, value: routed } = kept;
        let epoch = routed.activation.epoch;
        let moved = before.as_ref().and_then(|seen| {
            let (was, is) = (seen.routed.activation.holder(), routed.activation.holder());
            if was == is { seen.moved } else { Some(now) }
        });
        let same = before.as_ref().filter(|seen| seen.routed.activation.epoch == epoch);
        let epoch_since = same.map_or(now, |seen| seen.epoch_since);
        let electing = matches!(routed.activation.phase, Phase::Electing { .. });
        // One that was never seen may have had somebody serve.
        let follows = |seen: &&Self| epoch.0 - seen.routed.activation.epoch.0 <= 1;
        let from = before.as_ref().filter(follows).and_then(|seen| seen.electing_from);
        let held = before.as_ref().filter(|_| electing).and_then(|seen| {
            let holder = seen.routed.activation.holder();
            holder.map(|_| silent_since(seen)).max(seen.held)
        });
        Self {
            held,
            electing_from: electing.then(|| from.unwrap_or(epoch)),
            lease: before.and_then(|seen| seen.lease),
            routed,
            revision,
            version,
            since: now,
            epoch_since,
            older: None,
            ahead_since: None,
            moved,
        }
    }

    /// Returns the lease's revision for a conditional write: 0 if there is none.
    #[must_use]
    pub fn lease_revision(&self) -> u64 {
        self.lease.as_ref().map_or(0, |lease| lease.revision)
    }

    /// Takes the lease as read, and returns whether it has been written again, which was heard of then.
    pub(super) fn saw_lease(&mut self, kept: Option<&Kept<Lease>>, heard: Instant) -> bool {
        let same = |seen: &SeenLease| kept.is_some_and(|kept| kept.version == seen.version);
        if self.lease.as_ref().is_some_and(same) {
            return false;
        }
        self.lease = kept.map(|kept| SeenLease {
            lease: kept.value.clone(),
            revision: kept.revision,
            version: kept.version,
            since: heard,
        });
        self.lease.is_some()
    }

    /// Compares the record as read now with what is known: etcd may have gone back in time. Tells so
    /// once for each such record.
    pub(super) fn compare(
        &mut self,
        cell: &CellId,
        kept: Option<&Kept<RoutedCell>>,
        now: Instant,
    ) -> Option<Violation> {
        let known = self.routed.activation.epoch;
        let epoch = kept.map_or(Epoch(0), |kept| kept.value.activation.epoch);
        if epoch >= known {
            self.older = None;
            return None;
        }
        let revision = kept.map_or(0, |kept| kept.revision);
        if self.older.as_ref().is_some_and(|older| older.revision == revision) {
            return None;
        }
        let since = self.older.as_ref().map_or(now, |older| older.since);
        self.older = Some(Older { epoch, revision, since });
        let witness = format!("cell {cell} went from epoch {known} back to {epoch}");
        Some(Violation { invariant: Invariant::I2, witness })
    }
}
