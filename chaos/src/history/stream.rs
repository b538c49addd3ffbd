//! What became of the streams that users hold of their conversations, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use topology::Epoch;

use super::{Failure, Served};

/// A user has one stream, of one connection after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamStep {
    /// Index into the run's users.
    pub(crate) user: usize,
    /// Counted from 1, those that came to nothing too.
    pub(crate) connection: u32,
    pub(crate) at: Duration,
    pub(crate) step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The stream was asked for, from after this number; from the conversation's beginning without.
    Asked { after: Option<u64> },
    /// It began; who tells it, if the answer says.
    Opened(Option<Served>),
    /// A message was told under this number, and with an id that no other has; of one that the load has
    /// sent, by which operation.
    Heard { seq: u64, id: String, number: Option<u32> },
    /// The connection was over, or did not come about.
    Ended(End),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its last word was to come back.
    Moved,
    /// It had none.
    Closed,
    Failed(Failure),
    /// By us, because the run was over.
    Stopped,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Moved => f.write_str("moved"),
            Self::Closed => f.write_str("closed"),
            Self::Failed(failure) => failure.fmt(f),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl StreamStep {
    pub(crate) fn is_opened(&self) -> bool {
        matches!(self.step, Step::Opened(_))
    }

    /// Returns under which epoch the stream was begun, where this is when it was.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        match &self.step {
            Step::Opened(served) => served.as_ref().map(|served| served.epoch),
            Step::Asked { .. } | Step::Heard { .. } | Step::Ended(_) => None,
        }
    }
}

/// Returns each user's stream, in the order of time.
pub(crate) fn of_users(steps: &[StreamStep]) -> BTreeMap<usize, Vec<&StreamStep>> {
    let mut streams: BTreeMap<usize, Vec<&StreamStep>> = BTreeMap::new();
    for step in steps {
        streams.entry(step.user).or_default().push(step);
    }
    streams
}
