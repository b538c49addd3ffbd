//! What happened in a run, gathered phase by phase. Whole or cut short, it is what is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topology::{CellId, SiteId};

use crate::fault::Injection;
use crate::history::{Event, Operation, User};

#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) users: Vec<User>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) events: Vec<Event>,
    pub(crate) lags: Vec<Duration>,
    pub(crate) injection: Option<Injection>,
    /// When the fault was taken away.
    pub(crate) healed: Option<Duration>,
    /// When every cell was redundant again.
    pub(crate) redundant: Option<Duration>,
    pub(crate) final_state: FinalState,
    /// Why the steady state was not met before.
    pub(crate) unsteady: Vec<String>,
    /// Why the fault is not proven.
    pub(crate) unproven: Option<String>,
    /// Why the run was ended early.
    pub(crate) aborted: Option<String>,
    /// What the drill itself could not do.
    pub(crate) harness: Option<String>,
    /// What was left behind.
    pub(crate) residue: Vec<String>,
}

/// What was there in the end, by operation number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinalState {
    /// Acknowledged tickets, as the router's users see them.
    pub(crate) through_router: BTreeMap<u32, Seen>,
    /// Tickets as each database has them.
    pub(crate) databases: BTreeMap<SiteId, DatabaseRead>,
    /// Each user's messages, oldest first.
    pub(crate) conversations: BTreeMap<usize, ConversationRead>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    There,
    Missing,
    /// It could not be asked.
    Unread(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseRead {
    /// How many rows each operation left, at or after the primary's position.
    Tickets(BTreeMap<u32, u32>),
    Unread(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConversationRead {
    /// Sequence number and operation.
    Messages(Vec<(u64, u32)>),
    Unread(String),
}

impl Course {
    /// Returns the cells the fault was aimed at.
    pub(crate) fn affected(&self) -> BTreeSet<CellId> {
        let targets = self.injection.iter().flat_map(|injection| injection.cells.keys());
        targets.cloned().collect()
    }

    pub(crate) fn cell_of(&self, operation: &Operation) -> &CellId {
        &self.users[operation.user].cell
    }

    /// Returns when the fault took effect.
    pub(crate) fn begun(&self) -> Option<Duration> {
        self.injection.as_ref().map(|injection| injection.begun)
    }
}
