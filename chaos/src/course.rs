//! What happened in a run, gathered phase by phase. Whole or cut short, it is what is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topology::{CellId, Epoch, RegionId, SiteId};

use crate::drill::Drill;
use crate::fault::Injection;
use crate::history::{Event, Operation, StreamStep, User};
use crate::ledger::LedgerRead;
use crate::logs::LogsRead;
use crate::replica::ReplicaRead;
use crate::versions::Versions;

#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) users: Vec<User>,
    pub(crate) versions: Versions,
    /// The seed by which whom to hit was chosen; nothing where nobody was.
    pub(crate) seed: Option<u64>,
    pub(crate) operations: Vec<Operation>,
    /// Asked of a site directly, past the routers, while it stood still; no user's request.
    pub(crate) direct: Vec<Operation>,
    pub(crate) events: Vec<Event>,
    /// Of all users' streams, in the order of time.
    pub(crate) streams: Vec<StreamStep>,
    pub(crate) lags: Vec<Duration>,
    /// What was done to the platform, in order.
    pub(crate) injections: Vec<Injection>,
    /// Whether that was the same again and again: then there is no moment to recover from.
    pub(crate) is_repeated: bool,
    /// How far each cell was before anything was done …
    pub(crate) before: BTreeMap<CellId, Tally>,
    /// … and in the end; `None` where nobody could be asked.
    pub(crate) after: Option<BTreeMap<CellId, Tally>>,
    /// When the fault was taken away.
    pub(crate) healed: Option<Duration>,
    /// When every cell was redundant again.
    pub(crate) redundant: Option<Duration>,
    pub(crate) final_state: FinalState,
    /// Why the steady state was not met before.
    pub(crate) unsteady: Vec<String>,
    /// Why it is more than the drill may break; nothing was broken then.
    pub(crate) refused: Option<String>,
    /// Why the fault is not proven.
    pub(crate) unproven: Option<String>,
    /// Why the run was ended early.
    pub(crate) aborted: Option<String>,
    /// What the drill itself could not do.
    pub(crate) harness: Option<String>,
    /// What was left behind.
    pub(crate) residue: Vec<String>,
    /// What was taken away, and where it was looked for more.
    pub(crate) clean_up: Option<CleanUp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CleanUp {
    /// Of the faults in the journal, those that are taken away.
    pub(crate) undone: usize,
    pub(crate) looked_for: Vec<String>,
}

/// What only grows in a cell, and by how much is what a drill wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) epoch: Epoch,
    /// How often its sites' databases were rewound or copied anew, since their agents started.
    pub(crate) rebuilt: u64,
}

/// What was there in the end, by operation number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinalState {
    /// Acknowledged tickets, as the router's users see them.
    pub(crate) through_router: BTreeMap<u32, Seen>,
    /// Tickets as each database has them.
    pub(crate) databases: BTreeMap<SiteId, DatabaseRead>,
    /// The ticket that each user keeps, as they see it …
    pub(crate) versions: BTreeMap<usize, FinalVersion>,
    /// … and as each database that could be read has it; nothing where it has none.
    pub(crate) versions_in: BTreeMap<SiteId, BTreeMap<usize, u64>>,
    /// What each database has noted of the run's writes.
    pub(crate) ledger: BTreeMap<SiteId, LedgerRead>,
    /// What each database is made of, at or after the primary's position.
    pub(crate) replicas: BTreeMap<SiteId, ReplicaRead>,
    /// What was found in the logs of the run; nothing where nobody looked.
    pub(crate) logs: Option<LogsRead>,
    /// Each user's messages, oldest first.
    pub(crate) conversations: BTreeMap<usize, ConversationRead>,
    /// What the platform itself says each cell has lost.
    pub(crate) lost_writes: BTreeMap<CellId, LostWritesRead>,
    /// What control planes say of each other; nothing where nobody could be asked.
    pub(crate) doubts: Option<Doubts>,
}

/// Which control planes were not to be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    /// Those that still see badly, in the end, what others see well.
    pub(crate) blind: BTreeSet<RegionId>,
    /// Those that wrote down in this run that they decided nothing about a cell that looked bad, and which.
    pub(crate) undecided: BTreeMap<RegionId, BTreeSet<CellId>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    There,
    Missing,
    /// It could not be asked.
    Unread(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FinalVersion {
    Is(u64),
    Gone,
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

/// What a cell's sites report as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LostWritesRead {
    Reported {
        /// Those of this run.
        rows: Vec<LostRow>,
        /// Reports that do not list all rows, and why.
        gaps: Vec<String>,
    },
    Unread(String),
}

/// A row of this run that a site had written and the cell's history went on without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostRow {
    /// The operation it is of.
    pub(crate) number: u32,
    /// Where and under which epoch it had been written.
    pub(crate) region: RegionId,
    pub(crate) epoch: Epoch,
}

impl Course {
    /// Returns all that was done as one fault; `None` if nothing was.
    pub(crate) fn fault(&self) -> Option<Injection> {
        Injection::together(&self.injections)
    }

    /// Returns the cells the fault was aimed at.
    pub(crate) fn affected(&self) -> BTreeSet<CellId> {
        let targets = self.injections.iter().flat_map(|injection| injection.cells.keys());
        targets.cloned().collect()
    }

    pub(crate) fn cell_of(&self, operation: &Operation) -> &CellId {
        &self.users[operation.user].cell
    }

    /// Returns the seed with which the drill hits the same again.
    pub(crate) fn seed_of(&self, drill: &Drill) -> u64 {
        self.seed.unwrap_or(drill.seed)
    }

    /// Returns when the fault took effect.
    pub(crate) fn begun(&self) -> Option<Duration> {
        self.injections.first().map(|injection| injection.begun)
    }
}
