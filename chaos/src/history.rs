//! What was asked and what was answered: the evidence every check and every number rests on.

mod jsonl;

use std::time::Duration;

use runtime::clock::{self, BootTime};
use topology::{CellId, Epoch, RegionId, Slot};

pub(crate) use jsonl::{events_jsonl, history_jsonl};

/// The run's own clock: time since it began, on the machine's boot-time clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    begun: BootTime,
    pub(crate) begun_unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { begun: BootTime::now(), begun_unix_ms: clock::unix_millis() }
    }

    pub(crate) fn now(&self) -> Duration {
        BootTime::now().since(self.begun)
    }

    /// Returns when on this clock a wall time was; `None` before the run.
    pub(crate) fn at_unix_ms(&self, unix_ms: u64) -> Option<Duration> {
        unix_ms.checked_sub(self.begun_unix_ms).map(Duration::from_millis)
    }
}

/// A simulated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) slot: Slot,
    /// The cell that answered when the user's conversation was opened.
    pub(crate) cell: CellId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A strong write.
    Ticket,
    /// A weak write.
    Message,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Message => "message",
        }
    }
}

/// One request, with when it was due, sent and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Its number in the run; with the run's id it is what marks the effect in the database.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// Index into the run's users.
    pub(crate) user: usize,
    pub(crate) intended: Duration,
    pub(crate) sent: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
    /// Who answered, if the answer says.
    pub(crate) served: Option<Served>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Acknowledged.
    Ok(Effect),
    /// Definitely not done.
    Fail(Failure),
    /// May have been done or not.
    Unknown(Failure),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Ticket { id: String },
    Message { seq: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// More requests in flight than the load allows; never sent.
    Dropped,
    Refused,
    Reset,
    Timeout,
    /// An answer that is no success, with its problem's code.
    Status {
        status: u16,
        code: String,
    },
    /// A success whose body does not say what was done.
    Malformed,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dropped => f.write_str("dropped"),
            Self::Refused => f.write_str("refused"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status { status, code } => write!(f, "{status} {code}"),
            Self::Malformed => f.write_str("malformed"),
        }
    }
}

/// The headers an answer carries about who served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) cell: CellId,
    pub(crate) region: RegionId,
    pub(crate) epoch: Epoch,
}

impl Operation {
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// Returns how long the user waited, from when the request was due.
    pub(crate) fn latency(&self) -> Duration {
        self.ended.saturating_sub(self.intended)
    }
}

/// Something the control plane said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) name: String,
    pub(crate) cell: CellId,
    pub(crate) region: Option<RegionId>,
    pub(crate) epoch: Epoch,
    pub(crate) reason: String,
    pub(crate) evidence: String,
}

/// Returns what marks an operation's effect: a ticket's subject, a message's text, its key.
pub(crate) fn mark(run: &str, number: u32) -> String {
    format!("{run}/{number}")
}

/// Reads a mark back.
pub(crate) fn unmark(run: &str, text: &str) -> Option<u32> {
    text.strip_prefix(run)?.strip_prefix('/')?.parse().ok()
}

#[cfg(test)]
pub(crate) mod fixture;
