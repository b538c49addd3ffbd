//! What users ask meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::Kind;

/// Open loop: requests are sent when they are due, whatever became of earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) arrivals: Arrivals,
    /// Requests per second, all users together.
    pub(crate) rate: f64,
    pub(crate) users: usize,
    /// How many requests of each kind there are among as many as all shares together.
    pub(crate) mix: BTreeMap<Kind, u32>,
    pub(crate) request_timeout: Duration,
    /// Beyond it a request is recorded as dropped, which counts as failed.
    pub(crate) max_in_flight: usize,
    /// What users do about a request that was not answered well; nothing, unless the drill says so.
    pub(crate) retries: Option<Retries>,
    /// So many of the users hold a stream of their conversation, from the load's beginning to the end.
    pub(crate) streams: usize,
}

/// How users ask again, until they have waited for as long as for one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Retries {
    /// How often they ask at most, the first time included.
    pub(crate) tries: u32,
    /// The longest pause before the second try; it doubles with each.
    pub(crate) backoff: Duration,
    /// How many there may be for each request, all users together.
    pub(crate) budget: f64,
    /// How many may be saved up: those that are cut off at once ask again at once.
    pub(crate) saved: u16,
}

impl Load {
    /// Returns whether there are requests of this kind.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.mix.get(&kind).is_some_and(|share| *share > 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrivals {
    Poisson,
    Constant,
}
