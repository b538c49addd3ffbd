//! Where the load and the event stream write, and the runner reads, while a drill goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::history::{Event, Operation, Step, StreamStep};

/// Cheap to clone; all clones are one record. The lock is held for a few lines without waiting.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) operations: Vec<Operation>,
    pub(crate) events: Vec<Event>,
    /// Of all users' streams, in the order of time.
    pub(crate) streams: Vec<StreamStep>,
    /// How late each request was sent.
    pub(crate) lags: Vec<Duration>,
}

impl Recorder {
    pub(crate) fn operation(&self, operation: Operation) {
        self.with(|record| record.operations.push(operation));
    }

    pub(crate) fn lag(&self, lag: Duration) {
        self.with(|record| record.lags.push(lag));
    }

    pub(crate) fn event(&self, event: Event) {
        self.with(|record| record.events.push(event));
    }

    pub(crate) fn stream(&self, step: StreamStep) {
        self.with(|record| record.streams.push(step));
    }

    /// Returns the number that a user's stream told last.
    pub(crate) fn last_heard(&self, user: usize) -> Option<u64> {
        self.with(|record| {
            let mut of_user = record.streams.iter().rev().filter(|step| step.user == user);
            of_user.find_map(|step| match step.step {
                Step::Heard { seq, .. } => Some(seq),
                Step::Asked { .. } | Step::Opened(_) | Step::Ended(_) => None,
            })
        })
    }

    /// Looks at the record as it is now.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
