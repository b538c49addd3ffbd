//! What should be done, from what is known. Pure: facts come in through [`State::saw`], decisions
//! come out of [`decide`], and the two never mix, so that a restart or a missed event can delay a
//! decision but never change it.

pub mod asked_failover;
pub mod automatic;
pub mod choose;
pub mod data_loss;
pub mod drills;
pub mod failover;
pub mod first_start;
pub mod freeze;
pub mod happenings;
pub mod history;
pub mod lead;
pub mod operation;
pub mod plan;
pub mod redundant;
pub mod rehearse;
pub mod safety;
pub mod situation;
pub mod state;
pub mod switchover;
pub mod verdict;
pub mod went_back;
#[cfg(test)]
mod world;

use std::collections::BTreeSet;
use std::fmt;

use tokio::time::Instant;
use topology::spec::LeasePolicy;
use topology::{CellId, Epoch, RegionId, Spec};

pub use state::{Fact, State};
use verdict::matrix::Matrix;

/// What decisions go by besides the facts.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where this observer is.
    pub vantage: RegionId,
    /// All regions, in the order of the spec: it settles who acts first and who wins a tie.
    pub regions: Vec<RegionId>,
    /// The cells there should be.
    pub cells: BTreeSet<CellId>,
    /// How long an active site may go unheard.
    pub lease: LeasePolicy,
}

impl Policy {
    /// Returns the policy of the control plane in `vantage`.
    #[must_use]
    pub fn new(spec: &Spec, vantage: &RegionId) -> Self {
        Self {
            vantage: vantage.clone(),
            regions: spec.regions.iter().map(|region| region.id.clone()).collect(),
            cells: spec.cells.iter().map(|cell| cell.id.clone()).collect(),
            lease: spec.lease,
        }
    }

    /// Returns a region's place in the spec.
    #[must_use]
    pub fn rank(&self, region: &RegionId) -> usize {
        self.regions.iter().position(|listed| listed == region).unwrap_or(self.regions.len())
    }
}

/// What to do. Every action is idempotent and carries the epoch it belongs to, so that a late one is
/// refused instead of undoing a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the first placement, if there is none.
    CreatePlacement,
    /// Write the cell's first activation, if there is none.
    CreateCell { cell: CellId },
    /// End the right of the active site `from`, and elect its successor.
    TakeOver { cell: CellId, epoch: Epoch, from: RegionId, reason: String },
    /// Drive an election that nobody drives.
    PickUp { cell: CellId, epoch: Epoch, reason: String },
    /// Begin an election above every epoch seen: etcd went back in time, and nobody serves.
    Restore { cell: CellId, epoch: Epoch, reason: String },
    /// Hand the cell over to a better site: the active one is alive and of little use.
    Relieve { cell: CellId, epoch: Epoch, from: RegionId, to: RegionId, reason: String },
    /// Change nothing and tell a person.
    Freeze { cell: CellId, epoch: Epoch, reason: String },
}

impl Action {
    /// The names of all kinds, for metrics.
    pub const KINDS: [&'static str; 7] =
        ["create-placement", "create-cell", "take-over", "pick-up", "restore", "relieve", "freeze"];

    /// Returns the name of the action's kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let [placement, cell, take_over, pick_up, restore, relieve, freeze] = Self::KINDS;
        match self {
            Self::CreatePlacement => placement,
            Self::CreateCell { .. } => cell,
            Self::TakeOver { .. } => take_over,
            Self::PickUp { .. } => pick_up,
            Self::Restore { .. } => restore,
            Self::Relieve { .. } => relieve,
            Self::Freeze { .. } => freeze,
        }
    }
}

/// Returns what should be done now; nothing when everything is as it should be.
#[must_use]
pub fn decide(state: &State, policy: &Policy, now: Instant) -> Vec<Action> {
    // Without a fresh reading there is nothing to compare a write with: etcd decides, not we.
    if !state.is_fresh(now) {
        return Vec::new();
    }
    let mut actions = first_start::decide(state, policy);
    let matrix = Matrix::new(state, policy, now);
    actions.extend(failover::decide(state, policy, &matrix, now));
    actions.extend(verdict::gray::decide(state, policy, &matrix, now));
    actions.into_iter().map(|action| held_back(action, state, now)).collect()
}

/// Replaces what would move a cell that somebody may still serve by a freeze, as long as a person
/// says that nothing moves. What is interrupted already is brought to its end.
fn held_back(action: Action, state: &State, now: Instant) -> Action {
    let (Action::TakeOver { cell, epoch, reason, .. }
    | Action::Relieve { cell, epoch, reason, .. }) = &action
    else {
        return action;
    };
    let Some(freeze) = safety::frozen(state, now) else { return action };
    let reason = format!("everything is frozen, {freeze}; else: {reason}");
    Action::Freeze { cell: cell.clone(), epoch: *epoch, reason }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreatePlacement => f.write_str("create the placement"),
            Self::CreateCell { cell } => write!(f, "create {cell}"),
            Self::TakeOver { cell, epoch, from, reason } => {
                write!(f, "take {cell} over from {from}, epoch {epoch}: {reason}")
            }
            Self::PickUp { cell, epoch, reason } => {
                write!(f, "pick up the election of {cell}, epoch {epoch}: {reason}")
            }
            Self::Restore { cell, epoch, reason } => {
                write!(f, "restore {cell}, epoch {epoch}: {reason}")
            }
            Self::Relieve { cell, epoch, from, to, reason } => {
                write!(f, "hand {cell} over from {from} to {to}, epoch {epoch}: {reason}")
            }
            Self::Freeze { cell, epoch, reason } => {
                write!(f, "freeze {cell}, epoch {epoch}: {reason}")
            }
        }
    }
}
