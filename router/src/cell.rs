//! What the router remembers of a cell from one snapshot to the next.

use std::sync::{Arc, Mutex, PoisonError};

use topology::Epoch;

use crate::buckets::CellBucket;
use crate::decide::breaker::Breaker;
use crate::decide::retry::Budget;
use crate::load::Load;
use crate::release::Release;
use crate::room::Waiting;
use crate::site::Site;

/// One cell in the table in use.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) memory: Arc<Memory>,
    pub(crate) epoch: Epoch,
    /// Whether a site serves under that epoch.
    pub(crate) is_served: bool,
    /// The last site that served, under whichever epoch.
    pub(crate) site: Option<Arc<Site>>,
}

/// Outlives snapshots.
#[derive(Default)]
pub(crate) struct Memory {
    budget: Mutex<Budget>,
    breaker: Mutex<Breaker>,
    pub(crate) bucket: CellBucket,
    pub(crate) load: Load,
    pub(crate) waiting: Waiting,
    pub(crate) release: Arc<Release>,
}

impl Memory {
    /// Looks at the retry budget. The lock is held for one addition.
    pub(crate) fn budget<T>(&self, look: impl FnOnce(&mut Budget) -> T) -> T {
        look(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the breaker, as shortly.
    pub(crate) fn breaker<T>(&self, look: impl FnOnce(&mut Breaker) -> T) -> T {
        look(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
