//! The last happenings with their time, for everybody who listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::clock;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use crate::decide::happenings::Happening;

/// How many are kept for those who come back: hours of an ordinary life, minutes of a bad one.
const KEPT: usize = 1000;

/// Cheap to clone; all clones are one log.
#[derive(Clone)]
pub struct EventLog {
    ring: Arc<Mutex<VecDeque<Event>>>,
    newest: watch::Sender<u64>,
}

/// A happening as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Event {
    #[serde(skip)]
    pub id: u64,
    #[serde(skip)]
    pub name: &'static str,
    pub at_unix_ms: u64,
    pub cell: String,
    pub region: Option<String>,
    pub epoch: u64,
    pub reason: String,
    pub evidence: String,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { ring: Arc::default(), newest: watch::channel(0).0 }
    }
}

impl EventLog {
    /// Appends. Ids grow with wall time, so that they go on growing over a restart, and mean about
    /// the same to every control plane.
    pub fn write(&self, happening: &Happening) {
        let at_unix_ms = clock::unix_millis();
        let id = at_unix_ms.max(*self.newest.borrow() + 1);
        let event = Event {
            id,
            name: happening.kind.name(),
            at_unix_ms,
            cell: happening.cell.to_string(),
            region: happening.region.as_ref().map(ToString::to_string),
            epoch: happening.epoch.0,
            reason: happening.reason.clone(),
            evidence: happening.evidence.clone(),
        };
        {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if ring.len() == KEPT {
                ring.pop_front();
            }
            ring.push_back(event);
        }
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
            (500..1500).collect::<Vec<_>>()
        );
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(log.after(all[997].id), all[998..]);
    }
}
