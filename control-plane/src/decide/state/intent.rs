//! What people want: operations that go on, drained regions, a freeze.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use topology::{RegionId, Version};

use crate::decide::operation::stranger::Stranger;
use crate::decide::operation::{Move, Operation, Step, What};
use crate::store::{Freeze, Kept, Reading};

#[derive(Clone, Debug, Default)]
pub struct Intent {
    operations: BTreeMap<String, SeenOperation>,
    drained: BTreeSet<RegionId>,
    freeze: Option<SeenFreeze>,
    /// Keys whose value is not understood, by key.
    unread: BTreeMap<String, Unread>,
    strangers: BTreeMap<String, Stranger>,
}

/// What is stored and not understood here, and since when this observer has known it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub why: String,
    pub since: Instant,
}

/// An operation as stored, and since when this observer has known it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOperation {
    pub operation: Arc<Operation>,
    pub revision: u64,
    pub version: Version,
    pub since: Instant,
}

/// A freeze as stored, and when it ends by this observer's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFreeze {
    pub freeze: Freeze,
    pub revision: u64,
    pub version: Version,
    until: Option<Instant>,
}

impl Intent {
    pub(super) fn read(&mut self, reading: &mut Reading, now: Instant) {
        let mut before = std::mem::take(&mut self.operations);
        for (id, kept) in std::mem::take(&mut reading.operations) {
            let Kept { revision, version, value } = kept;
            let known = before.remove(&id).filter(|seen| seen.version >= version);
            let seen = known.unwrap_or_else(|| {
                let operation = Arc::new(value);
                SeenOperation { operation, revision, version, since: now }
            });
            self.operations.insert(id, seen);
        }
        self.drained = std::mem::take(&mut reading.drained);
        self.strangers = std::mem::take(&mut reading.strangers);
        let mut before = std::mem::take(&mut self.unread);
        for (key, kept) in std::mem::take(&mut reading.malformed) {
            let since = before.remove(&key).map_or(now, |unread| unread.since);
            self.unread.insert(key, Unread { why: kept.value, since });
        }
        let read_unix_ms = reading.read_unix_ms;
        self.freeze = reading.freeze.take().map(|Kept { revision, version, value: freeze }| {
            let left = freeze.until_unix_ms.map(|until| until.saturating_sub(read_unix_ms));
            let until = left.map(|left| now + Duration::from_millis(left));
            SeenFreeze { freeze, revision, version, until }
        });
    }

    /// Returns the operations that go on, by id.
    #[must_use]
    pub fn operations(&self) -> &BTreeMap<String, SeenOperation> {
        &self.operations
    }

    /// Returns the moves of all operations that are yet to end: what they take up is not free for others.
    #[must_use]
    pub fn moves_ahead(&self) -> Vec<Move> {
        self.moves(|step| !step.state.has_ended())
    }

    /// Returns the moves of all operations that go on at this moment.
    #[must_use]
    pub fn moves_going_on(&self) -> Vec<Move> {
        self.moves(Step::is_going)
    }

    fn moves(&self, counts: impl Fn(&Step) -> bool) -> Vec<Move> {
        let all = self.operations.values().map(|seen| &seen.operation);
        let all = all.filter(|operation| !operation.status.has_ended());
        let steps = all.flat_map(|operation| operation.steps()).filter(|step| counts(step));
        let moves = steps.filter_map(|step| match &step.what {
            What::Move(planned) => Some(planned.clone()),
            What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => {
                None
            }
        });
        moves.collect()
    }

    /// Returns the regions that are no target of any move.
    #[must_use]
    pub fn drained(&self) -> &BTreeSet<RegionId> {
        &self.drained
    }

    /// Returns the keys whose value is not understood here.
    #[must_use]
    pub fn unread(&self) -> &BTreeMap<String, Unread> {
        &self.unread
    }

    /// Returns the operations that go on and are not understood here, by id.
    #[must_use]
    pub fn strangers(&self) -> &BTreeMap<String, Stranger> {
        &self.strangers
    }

    /// Returns the freeze, as long as it holds.
    #[must_use]
    pub fn freeze(&self, now: Instant) -> Option<&Freeze> {
        let seen = self.freeze.as_ref()?;
        let over = seen.until.is_some_and(|until| now >= until);
        (seen.freeze.frozen && !over).then_some(&seen.freeze)
    }

    /// Returns what was last said about a freeze, whether or not it holds.
    #[must_use]
    pub fn last_freeze(&self) -> Option<&SeenFreeze> {
        self.freeze.as_ref()
    }
}
