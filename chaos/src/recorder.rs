//! Where the load and the event stream write, and the runner reads, while a drill goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::history::{Event, Operation};

/// Cheap to clone; all clones are one record. The lock is held for a few lines without waiting.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) operations: Vec<Operation>,
    pub(crate) events: Vec<Event>,
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

    /// Looks at the record as it is now.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
