//! The last happenings with their time, for everybody who listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::clock;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use tracing::info;

use crate::decide::happenings::Happening;
use crate::decide::happenings::rehearsals::Rehearsal;
use crate::decide::happenings::wishes::Turn;

/// How many are kept for those who come back: hours of an ordinary life, minutes of a bad one.
const KEPT: usize = 1000;

/// Cheap to clone; all clones are one log.
#[derive(Clone)]
pub struct EventLog {
    ring: Arc<Mutex<VecDeque<Event>>>,
    newest: watch::Sender<u64>,
}

/// A happening as it goes over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Event {
    #[serde(skip)]
    pub id: u64,
    #[serde(skip)]
    pub name: &'static str,
    pub at_unix_ms: u64,
    /// What it is about: a cell, an operation, one cell of an operation, a region, or everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    pub region: Option<String>,
    /// The cell's, where it is about what a cell itself has done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    pub reason: String,
    pub evidence: String,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { ring: Arc::default(), newest: watch::channel(0).0 }
    }
}

impl EventLog {
    /// Appends what has happened to a cell.
    pub fn write(&self, happening: &Happening) {
        self.append(Event {
            name: happening.kind.name(),
            cell: Some(happening.cell.to_string()),
            region: happening.region.as_ref().map(ToString::to_string),
            epoch: Some(happening.epoch.0),
            reason: happening.reason.clone(),
            evidence: happening.evidence.clone(),
            ..Event::default()
        });
    }

    /// Appends what has become of something that was asked for.
    pub fn write_turn(&self, turn: &Turn) {
        self.append(Event {
            name: turn.kind.name(),
            cell: turn.cell.as_ref().map(ToString::to_string),
            operation: turn.operation.clone(),
            region: turn.region.as_ref().map(ToString::to_string),
            reason: turn.reason.clone(),
            evidence: turn.evidence.clone(),
            ..Event::default()
        });
    }

    /// Appends what a suite of drills has done.
    pub fn write_rehearsal(&self, rehearsal: &Rehearsal) {
        info!(event = rehearsal.kind.name(), reason = rehearsal.reason, "drills");
        self.append(Event {
            name: rehearsal.kind.name(),
            reason: rehearsal.reason.clone(),
            evidence: rehearsal.evidence.clone(),
            ..Event::default()
        });
    }

    /// Ids grow with wall time, so that they go on growing over a restart, and mean about the same to
    /// every control plane.
    fn append(&self, event: Event) {
        let at_unix_ms = clock::unix_millis();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: two writers never use one id.
        let id = at_unix_ms.max(*self.newest.borrow() + 1);
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(Event { id, at_unix_ms, ..event });
        self.newest.send_replace(id);
    }

    /// Returns what came after `id`, oldest first, as far as it is kept.
    #[must_use]
    pub fn after(&self, id: u64) -> Vec<Event> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter(|event| event.id > id).cloned().collect()
    }

    /// Returns the newest `limit` of what came before `id`, newest first, as far as it is kept.
    #[must_use]
    pub fn before(&self, id: Option<u64>, limit: usize) -> Vec<Event> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = ring.iter().rev().filter(|event| id.is_none_or(|id| event.id < id));
        earlier.take(limit).cloned().collect()
    }

    /// Returns the newest id, and tells when there is a newer one.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use topology::Epoch;

    use super::*;
    use crate::decide::happenings::Kind;

    #[test]
    fn ids_grow_and_the_last_thousand_are_kept() {
        let log = EventLog::default();
        for epoch in 0..1500 {
            log.write(&Happening {
                kind: Kind::Steady,
                cell: "c1".parse().unwrap(),
                region: None,
                epoch: Epoch(epoch),
                reason: String::new(),
                evidence: String::new(),
            });
        }
        let all = log.after(0);
        assert_eq!(
            all.iter().map(|event| event.epoch).collect::<Vec<_>>(),
            (500..1500).map(Some).collect::<Vec<_>>()
        );
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(log.after(all[997].id), all[998..]);
    }
}
