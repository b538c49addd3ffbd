//! What was asked and what was answered: the evidence every check and every number rests on.

mod jsonl;
mod process;
mod stream;

use std::time::Duration;

use runtime::clock::{self, BootTime};
use topology::{CellId, Epoch, RegionId, Slot};

pub(crate) use jsonl::{events_jsonl, history_jsonl};
pub(crate) use stream::{End, Step, StreamStep, of_users};

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
    /// A strong write: the user's own ticket is moved on, if it still is as it was last seen.
    Transition,
    /// A read of the user's own ticket that nobody but the active site may answer.
    StrongRead,
    /// One that a standby may answer, with what it has heard.
    WeakRead,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Ticket, Self::Message, Self::Transition, Self::StrongRead, Self::WeakRead];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Message => "message",
            Self::Transition => "transition",
            Self::StrongRead => "strong-read",
            Self::WeakRead => "weak-read",
        }
    }

    /// Returns Jepsen's word for it: a ticket that is moved on is a register that is compared and set.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Transition => "cas",
            Self::StrongRead => "read",
            Self::Ticket | Self::Message | Self::WeakRead => self.name(),
        }
    }

    pub(crate) fn is_strong_write(self) -> bool {
        match self {
            Self::Ticket | Self::Transition => true,
            Self::Message | Self::StrongRead | Self::WeakRead => false,
        }
    }

    /// Whether it is about the ticket that each user keeps.
    pub(crate) fn is_of_kept_ticket(self) -> bool {
        match self {
            Self::Transition | Self::StrongRead | Self::WeakRead => true,
            Self::Ticket | Self::Message => false,
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
    /// Of a transition, the version of the ticket it was decided on.
    pub(crate) from: Option<u64>,
    /// How often it was sent; only its last answer counts.
    pub(crate) tries: u32,
    pub(crate) intended: Duration,
    /// When it was sent first: from then on it may have been done.
    pub(crate) sent: Duration,
    /// From then to when it was sent last; nothing where it was sent once.
    pub(crate) last_try: Duration,
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
    Ticket {
        id: String,
    },
    Message {
        seq: u64,
    },
    /// The kept ticket was moved on, and has this version now.
    Changed {
        version: u64,
    },
    /// It was not: somebody else had moved it on already, and it had this version.
    Overtaken {
        version: u64,
    },
    /// The version that was read; `stale` where the answer itself says that it may be an old one.
    Read {
        version: u64,
        stale: bool,
    },
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
        /// Whether it says when to come again (`Retry-After`).
        says_when: bool,
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
            Self::Status { status, code, .. } => write!(f, "{status} {code}"),
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
    /// Whether it is the answer to an earlier try, given again.
    pub(crate) replayed: bool,
}

impl Operation {
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// Returns whether the answer vouches for what it says: not one that calls itself an old one.
    pub(crate) fn is_vouched_for(&self) -> bool {
        match self.outcome {
            Outcome::Ok(Effect::Read { stale, .. }) => !stale && self.kind != Kind::WeakRead,
            Outcome::Ok(_) => true,
            Outcome::Fail(_) | Outcome::Unknown(_) => false,
        }
    }

    /// Returns the version of the kept ticket that the answer vouches for.
    pub(crate) fn vouched_version(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Ok(
                Effect::Changed { version }
                | Effect::Overtaken { version }
                | Effect::Read { version, .. },
            ) if self.is_vouched_for() => Some(version),
            Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => None,
        }
    }

    /// Returns when that was asked which the answer answers: an acknowledgement, and what a read shows, are of
    /// the last try.
    pub(crate) fn asked(&self) -> Duration {
        self.sent.saturating_add(self.last_try)
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

/// The version of a ticket that was just opened; every transition makes it one more.
pub(crate) const FIRST_VERSION: u64 = 1;

/// Returns what marks an operation's effect: a ticket's subject, a message's text, its key.
pub(crate) fn mark(run: &str, number: u32) -> String {
    format!("{run}/{number}")
}

/// Reads a mark back.
pub(crate) fn unmark(run: &str, text: &str) -> Option<u32> {
    text.strip_prefix(run)?.strip_prefix('/')?.parse().ok()
}

/// Returns the subject of the ticket that a user keeps: no operation's mark.
pub(crate) fn kept_mark(run: &str, user: &str) -> String {
    format!("{run}/kept/{user}")
}

#[cfg(test)]
pub(crate) mod fixture;
