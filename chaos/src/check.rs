//! What is checked on the recorded history. One checker per file; each is proven by tests with a
//! history broken in the way it must catch.

mod blast_radius;
mod clean_refusals;
mod convergence;
mod exactly_once;
mod ledger;
mod log_patterns;
mod lost_writes_reported;
mod messages;
mod no_forbidden_ack;
mod no_late_ack;
mod no_lost_ack;
mod no_stale_strong_read;
mod observer_alone;
mod session_order;
mod single_writer;
mod stream_order;

use crate::course::Course;

pub(crate) use convergence::apart;
pub(crate) use no_lost_ack::lost_strong;
pub(crate) use session_order::lost_weak;
pub(crate) use stream_order::unheard;

/// Broken rules told per check; the rest is counted.
const WITNESSES_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    NoLostAck,
    ExactlyOnce,
    SingleWriter,
    NoLateAck,
    NoStaleStrongRead,
    SessionOrder,
    StreamOrder,
    BlastRadius,
    LostWritesReported,
    ObserverAlone,
    NoForbiddenAck,
    CleanRefusals,
    Ledger,
    Convergence,
    LogPatterns,
}

/// What a check came to, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Pass,
    Fail(Vec<String>),
    /// The evidence is incomplete.
    Unknown(Vec<String>),
}

impl Check {
    pub(crate) const ALL: [Self; 15] = [
        Self::NoLostAck,
        Self::ExactlyOnce,
        Self::SingleWriter,
        Self::NoLateAck,
        Self::NoStaleStrongRead,
        Self::SessionOrder,
        Self::StreamOrder,
        Self::BlastRadius,
        Self::LostWritesReported,
        Self::ObserverAlone,
        Self::NoForbiddenAck,
        Self::CleanRefusals,
        Self::Ledger,
        Self::Convergence,
        Self::LogPatterns,
    ];
    /// Of the drills in which writes are to be refused for a while.
    pub(crate) const OF_REFUSALS: [Self; 2] = [Self::NoForbiddenAck, Self::CleanRefusals];
    pub(crate) const NAMES: &str = "no-lost-ack, exactly-once, single-writer, no-late-ack, \
                                    no-stale-strong-read, session-order, stream-order, \
                                    blast-radius, lost-writes-reported, observer-alone, \
                                    no-forbidden-ack, clean-refusals, ledger, convergence, \
                                    log-patterns";

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoLostAck => "no-lost-ack",
            Self::ExactlyOnce => "exactly-once",
            Self::SingleWriter => "single-writer",
            Self::NoLateAck => "no-late-ack",
            Self::NoStaleStrongRead => "no-stale-strong-read",
            Self::SessionOrder => "session-order",
            Self::StreamOrder => "stream-order",
            Self::BlastRadius => "blast-radius",
            Self::LostWritesReported => "lost-writes-reported",
            Self::ObserverAlone => "observer-alone",
            Self::NoForbiddenAck => "no-forbidden-ack",
            Self::CleanRefusals => "clean-refusals",
            Self::Ledger => "ledger",
            Self::Convergence => "convergence",
            Self::LogPatterns => "log-patterns",
        }
    }

    /// What it claims, for people.
    pub(crate) fn claim(self) -> &'static str {
        match self {
            Self::NoLostAck => {
                "every acknowledged ticket and transition is in every site's database"
            }
            Self::ExactlyOnce => "no request had its effect twice",
            Self::SingleWriter => "one site of a cell acknowledged at a time (I1)",
            Self::NoLateAck => "no site acknowledged anything once it had been succeeded",
            Self::NoStaleStrongRead => {
                "a strong read shows what was acknowledged before it, and each ticket one history"
            }
            Self::SessionOrder => "each conversation's messages are in the order they were sent in",
            Self::StreamOrder => {
                "a stream tells every acknowledged message of its conversation once, in order"
            }
            Self::BlastRadius => "no request of another cell failed (I8)",
            Self::LostWritesReported => {
                "what was acknowledged and is lost is reported, and only that"
            }
            Self::ObserverAlone => {
                "a control plane that was cut off said so, and is believed again afterwards"
            }
            Self::NoForbiddenAck => {
                "while writes were to be refused, no ticket or transition was acknowledged (I5)"
            }
            Self::CleanRefusals => {
                "what could not be done was refused, with when to come again, and reads went on"
            }
            Self::Ledger => {
                "each write is noted under the epoch that answered it, and each epoch has one writer"
            }
            Self::Convergence => "in the end every site's database of a cell has the same in it",
            Self::LogPatterns => "no process logged a panic, or data that is not whole",
        }
    }

    /// Whether breaking it means that data is not safe, rather than not at hand.
    pub(crate) fn is_safety(self) -> bool {
        !matches!(
            self,
            Self::StreamOrder
                | Self::BlastRadius
                | Self::ObserverAlone
                | Self::CleanRefusals
                | Self::LogPatterns
        )
    }

    pub(crate) fn run(self, course: &Course) -> Finding {
        match self {
            Self::NoLostAck => no_lost_ack::check(course),
            Self::ExactlyOnce => exactly_once::check(course),
            Self::SingleWriter => single_writer::check(course),
            Self::NoLateAck => no_late_ack::check(course),
            Self::NoStaleStrongRead => no_stale_strong_read::check(course),
            Self::SessionOrder => session_order::check(course),
            Self::StreamOrder => stream_order::check(course),
            Self::BlastRadius => blast_radius::check(course),
            Self::LostWritesReported => lost_writes_reported::check(course),
            Self::ObserverAlone => observer_alone::check(course),
            Self::NoForbiddenAck => no_forbidden_ack::check(course),
            Self::CleanRefusals => clean_refusals::check(course),
            Self::Ledger => ledger::check(course),
            Self::Convergence => convergence::check(course),
            Self::LogPatterns => log_patterns::check(course),
        }
    }
}

impl Finding {
    /// A broken rule outweighs missing evidence.
    fn from_evidence(broken: Vec<String>, missing: Vec<String>) -> Self {
        if !broken.is_empty() {
            Self::Fail(shortened(broken))
        } else if !missing.is_empty() {
            Self::Unknown(shortened(missing))
        } else {
            Self::Pass
        }
    }
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let rest = lines.len().saturating_sub(WITNESSES_MAX);
    if rest > 0 {
        lines.truncate(WITNESSES_MAX);
        lines.push(format!("and {rest} more"));
    }
    lines
}
