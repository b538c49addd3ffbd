//! The freeze that holds, as pages tell of it.

use tokio::time::Instant;

use super::words::Moment;
use crate::decide::State;

/// What a person has said of it.
pub(super) struct Held {
    pub(super) detail: String,
    pub(super) since: Moment,
    /// When it ends by itself.
    pub(super) until: Option<Moment>,
}

impl Held {
    /// Returns nothing where everything may be moved.
    #[must_use]
    pub(super) fn of(known: &State, now: Instant) -> Option<Self> {
        let freeze = known.intent().freeze(now)?;
        Some(Self {
            detail: format!("{}: {}", freeze.who, freeze.reason),
            since: Moment::at(freeze.since_unix_ms),
            until: freeze.until_unix_ms.map(Moment::at),
        })
    }
}
