//! An operation: what people want of many cells, as steps in waves.
//!
//! ```text
//!  running ──▶ done
//!     │ └────▶ failed: a step could not be done; what was done stays
//!     └ cancelled by a person ──▶ undoing ──▶ cancelled: no step is begun any more, moved cells
//!                                             stay, and a drained region is a target again
//! ```
//!
//! How far it has come is in the record alone: whoever executes it reads what the steps have led to
//! from the cells themselves, so that anybody can go on from any point ([`advance`]).

pub mod advance;
pub mod exclude;
pub mod memory;
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
        }
    }

    #[must_use]
    pub fn region(&self) -> &RegionId {
        match self {
            Self::Evacuate(region)
            | Self::Restore(region)
            | Self::Drain(region)
            | Self::Undrain(region) => region,
            Self::RetireSite(site) | Self::AddSite(site) | Self::Switchover(site) => &site.region,
        }
    }

    /// Returns the one site that it is about, if it is about one.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        match self {
            Self::RetireSite(site) | Self::AddSite(site) | Self::Switchover(site) => Some(site),
            Self::Evacuate(_) | Self::Restore(_) | Self::Drain(_) | Self::Undrain(_) => None,
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
            | Self::Switchover(_) => None,
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
            | Self::Switchover(_) => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.site() {
            Some(site) => write!(f, "{} {site}", self.kind()),
            None => write!(f, "{} {}", self.kind(), self.region()),
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

    /// Whether it is the move of one cell, which is carried out by who wrote it down.
    #[must_use]
    pub fn is_one_move(&self) -> bool {
        matches!(self.goal, Goal::Switchover(_))
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

    /// Returns it with its first wave recorded as going on: whoever writes it down so carries it out at
    /// once.
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
