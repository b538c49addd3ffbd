//! An operation: what a person wants of a region, a site or a cell, as steps in waves.
//!
//! ```text
//!  running ──▶ done
//!     │ │ └──▶ failed: a step could not be done. Moved cells stay, and a drained region stays drained
//!     │ └ a site is half in or half out ──▶ undoing ──▶ failed: it is in or out as it was
//!     └ cancelled by a person ──▶ undoing, if there is a mark to take back ──▶ cancelled
//! ```
//!
//! Cancelled, it begins no step any more nor tries one again that came to nothing, and brings to an end what
//! goes on. Moved cells stay; a region that it drained is a target again, and a site is in or out as it was.
//! One that moves a single cell is written down as going on and carried out at once: it can be cancelled only
//! until the cell moves.
//!
//! What is planned, and how far that has come, is in the record; what the steps have led to is read from the
//! cells themselves. So anybody can go on from any point ([`advance`]), and knows only less of how long each
//! step has been tried ([`memory`]).

pub mod advance;
pub mod exclude;
pub mod executor;
pub mod memory;
pub mod stranger;
pub mod waves;

use std::fmt;

use topology::{CellId, Epoch, RegionId, SiteId};

/// A plan and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub goal: Goal,
    pub asked: Asked,
    /// The region whose control plane executes it.
    pub executor: RegionId,
    /// Grows with every write.
    pub sequence: u64,
    pub status: Status,
    pub cancel: Option<Cancel>,
    /// How long the end of a wave is watched before the next begins.
    pub pause_ms: u64,
    pub waves: Vec<Vec<Step>>,
    /// What it waits for, if it waits.
    pub waits_for: Option<String>,
    pub ended_unix_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// No cell is active in the region, and it is drained: no target of any move.
    Evacuate(RegionId),
    /// The region is a target again, and the cells at home there are active there.
    Restore(RegionId),
    /// The region is drained. No cell is moved.
    Drain(RegionId),
    /// The region is a target again. No cell is moved.
    Undrain(RegionId),
    /// The standby site is kept out of its cell: no voter, no target, and following nobody.
    RetireSite(SiteId),
    /// A site that was kept out stands by again, and votes.
    AddSite(SiteId),
    /// The site is its cell's active one, by a planned move.
    Switchover(SiteId),
    /// A cell whose active site is lost is active elsewhere.
    Failover { cell: CellId, to: Option<RegionId>, accept_data_loss: bool },
}

/// Who asked, where, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub who: String,
    pub vantage: RegionId,
    pub at_unix_ms: u64,
    pub reason: Option<String>,
    pub override_rules: Vec<String>,
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    pub who: String,
    pub at_unix_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    Undoing,
    Done,
    Cancelled,
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub what: What,
    pub state: StepState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Drain(RegionId),
    Undrain(RegionId),
    Move(Move),
    Elect(Election),
    /// Mark the site, and see it leave the voters.
    Retire(SiteId),
    /// Take the mark away, and see the site vote.
    Add(SiteId),
}

/// A planned move of a cell that is active in `from` under `epoch`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    pub cell: CellId,
    pub from: RegionId,
    pub to: RegionId,
    pub epoch: Epoch,
}

/// An election that a person asks for, of a cell that was held by `from` under `epoch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    pub cell: CellId,
    pub from: Option<RegionId>,
    /// Who is wanted; once it has ended, who has won.
    pub to: Option<RegionId>,
    pub epoch: Epoch,
    pub accept_data_loss: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    Waiting,
    Going {
        attempt: u32,
        since_unix_ms: u64,
    },
    Done {
        took_ms: u64,
        hold_ms: Option<u64>,
        /// Under which a cell that was moved has become active.
        epoch: Option<Epoch>,
    },
    Skipped(String),
    Failed(String),
}

impl Goal {
    /// The kind of a failover: a cell tells by it that a person has failed it over.
    pub const FAILOVER: &str = "failover";

    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Evacuate(_) => "evacuate",
            Self::Restore(_) => "restore",
            Self::Drain(_) => "drain",
            Self::Undrain(_) => "undrain",
            Self::RetireSite(_) => "retire-site",
            Self::AddSite(_) => "add-site",
            Self::Switchover(_) => "switchover",
            Self::Failover { .. } => Self::FAILOVER,
        }
    }

    /// Returns the region that it is about, or that a cell is to be active in.
    #[must_use]
    pub fn region(&self) -> Option<&RegionId> {
        match self {
            Self::Evacuate(region)
            | Self::Restore(region)
            | Self::Drain(region)
            | Self::Undrain(region) => Some(region),
            Self::RetireSite(site) | Self::AddSite(site) | Self::Switchover(site) => {
                Some(&site.region)
            }
            Self::Failover { to, .. } => to.as_ref(),
        }
    }

    /// Returns the one cell that it is about, if it is about one.
    #[must_use]
    pub fn cell(&self) -> Option<&CellId> {
        match self {
            Self::RetireSite(site) | Self::AddSite(site) | Self::Switchover(site) => {
                Some(&site.cell)
            }
            Self::Failover { cell, .. } => Some(cell),
            Self::Evacuate(_) | Self::Restore(_) | Self::Drain(_) | Self::Undrain(_) => None,
        }
    }

    /// Returns the one site that it is about, if it is about one.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        match self {
            Self::RetireSite(site) | Self::AddSite(site) | Self::Switchover(site) => Some(site),
            Self::Evacuate(_)
            | Self::Restore(_)
            | Self::Drain(_)
            | Self::Undrain(_)
            | Self::Failover { .. } => None,
        }
    }

    /// Returns the region that is no target from its first step on.
    #[must_use]
    pub fn drains(&self) -> Option<&RegionId> {
        match self {
            Self::Evacuate(region) | Self::Drain(region) => Some(region),
            Self::Restore(_)
            | Self::Undrain(_)
            | Self::RetireSite(_)
            | Self::AddSite(_)
            | Self::Switchover(_)
            | Self::Failover { .. } => None,
        }
    }

    /// Returns the region that is a target again from its first step on.
    #[must_use]
    pub fn undrains(&self) -> Option<&RegionId> {
        match self {
            Self::Restore(region) | Self::Undrain(region) => Some(region),
            Self::Evacuate(_)
            | Self::Drain(_)
            | Self::RetireSite(_)
            | Self::AddSite(_)
            | Self::Switchover(_)
            | Self::Failover { .. } => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match (self.cell(), self.region()) {
            (Some(cell), Some(region)) => write!(f, "{kind} {cell}@{region}"),
            (Some(cell), None) => write!(f, "{kind} {cell}"),
            (None, Some(region)) => write!(f, "{kind} {region}"),
            (None, None) => f.write_str(kind),
        }
    }
}

impl Status {
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Running | Self::Undoing => false,
            Self::Done | Self::Cancelled | Self::Failed(_) => true,
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Undoing => "undoing",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}

impl StepState {
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Waiting | Self::Going { .. } => false,
            Self::Done { .. } | Self::Skipped(_) | Self::Failed(_) => true,
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Going { .. } => "going",
            Self::Done { .. } => "done",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain(region) => write!(f, "drain {region}"),
            Self::Undrain(region) => write!(f, "undrain {region}"),
            Self::Move(Move { cell, from, to, .. }) => write!(f, "move {cell} from {from} to {to}"),
            Self::Elect(Election { cell, to: Some(to), .. }) => {
                write!(f, "fail {cell} over to {to}")
            }
            Self::Elect(Election { cell, to: None, .. }) => write!(f, "fail {cell} over"),
            Self::Retire(site) => write!(f, "retire {site}"),
            Self::Add(site) => write!(f, "add {site}"),
        }
    }
}

impl Step {
    #[must_use]
    pub fn waiting(what: What) -> Self {
        Self { what, state: StepState::Waiting }
    }

    #[must_use]
    pub fn is_going(&self) -> bool {
        matches!(self.state, StepState::Going { .. })
    }
}

/// The sequence under which an operation is written down.
const FIRST: u64 = 1;

impl Operation {
    /// Whether nobody has written it since it was begun.
    #[must_use]
    pub fn is_as_begun(&self) -> bool {
        self.sequence == FIRST
    }

    /// Whether it moves one cell and nothing else: then it is written down as going on, and carried out at once.
    #[must_use]
    pub fn is_one_move(&self) -> bool {
        match self.goal {
            Goal::Switchover(_) | Goal::Failover { .. } => true,
            Goal::Evacuate(_)
            | Goal::Restore(_)
            | Goal::Drain(_)
            | Goal::Undrain(_)
            | Goal::RetireSite(_)
            | Goal::AddSite(_) => false,
        }
    }

    /// Returns the operation as it begins.
    #[must_use]
    pub fn new(goal: Goal, asked: Asked, pause_ms: u64, waves: Vec<Vec<What>>) -> Self {
        let executor = asked.vantage.clone();
        let waves = waves.into_iter().map(|wave| wave.into_iter().map(Step::waiting).collect());
        Self {
            goal,
            asked,
            executor,
            sequence: FIRST,
            status: Status::Running,
            cancel: None,
            pause_ms,
            waves: waves.collect(),
            waits_for: None,
            ended_unix_ms: None,
        }
    }

    /// Returns it with its first wave recorded as going on: whom it names carries it out at once.
    #[must_use]
    pub fn under_way(mut self, unix_ms: u64) -> Self {
        for step in self.waves.iter_mut().take(1).flatten() {
            step.state = StepState::Going { attempt: 1, since_unix_ms: unix_ms };
        }
        self
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.waves.iter().flatten()
    }

    /// Returns the number of the wave that goes on, or comes next; `None` after the last.
    #[must_use]
    pub fn wave(&self) -> Option<usize> {
        self.waves.iter().position(|wave| wave.iter().any(|step| !step.state.has_ended()))
    }
}
