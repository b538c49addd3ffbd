//! Drills by schedule: which are due, on whom, and when none may begin.
//!
//! `due` decides, from what is past and the time it is handed; nothing here waits or asks.
//! `app/follow.rs` does what it says.

pub(crate) mod announce;
mod calendar;
pub(crate) mod coverage;
pub(crate) mod due;
mod expected;
pub(crate) mod incident;
pub(crate) mod past;
mod read;
pub(crate) mod rotation;
pub(crate) mod tied;
pub(crate) mod watch;

use std::collections::BTreeSet;
use std::time::Duration;

use self::calendar::{Calendar, Cron};
use crate::drill::Drill;
use crate::drill::yaml::Finding;

/// The suites that come with the program.
pub(crate) const SUITES: [(&str, &str); 2] = [
    ("weekly", include_str!("../suites/weekly.yaml")),
    ("monthly", include_str!("../suites/monthly.yaml")),
];

/// A suite as meant. Cannot be wrong: it only comes out of [`Suite::parse`].
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) seed: u64,
    pub(crate) calendar: Calendar,
    /// How late a drill may still begin.
    pub(crate) deadline: Duration,
    pub(crate) alarms: Alarms,
    pub(crate) items: Vec<Item>,
}

/// A drill, and when it is due. A suite has each drill once.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) drill: Drill,
    pub(crate) cron: Cron,
}

/// Which alerts keep drills from beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alarms {
    /// Every one, except that no drill passes.
    All,
    Named(BTreeSet<String>),
}

impl Alarms {
    /// The alert that only a drill takes away.
    const UNREHEARSED: &str = "no-passing-drill";

    pub(crate) fn blocks(&self, alert: &str) -> bool {
        match self {
            Self::All => alert != Self::UNREHEARSED,
            Self::Named(names) => names.contains(alert),
        }
    }
}

impl Suite {
    /// Reads a suite and returns everything wrong with it, not just the first thing.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Vec<Finding>> {
        read::read(name, text)
    }

    /// Returns the first seed that is tried of a drill that is due then: each time another.
    pub(crate) fn base(&self, due_unix_ms: u64) -> u64 {
        self.seed.wrapping_add(due_unix_ms / 60_000)
    }

    /// Returns when a drill is due next after `unix_ms` and may begin then; `None` if that is never.
    pub(crate) fn next(&self, item: &Item, unix_ms: u64) -> Option<u64> {
        // More than a drill each hour has in a month: whatever is closed for longer is never.
        const TRIES: usize = 1000;
        let mut due = unix_ms;
        for _ in 0..TRIES {
            due = item.cron.after(due)?;
            if self.calendar.closed_at(due).is_none() {
                return Some(due);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
