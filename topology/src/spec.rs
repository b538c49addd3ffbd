//! `regions.yaml`: the world as written → as meant, with every finding at once.

mod backup;
mod change_windows;
mod control_plane;
pub mod edge;
mod finding;
mod read;
mod reader;
mod wan;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{CellId, RegionId, SiteId};

pub use backup::{Backup, Repository, S3};
pub use change_windows::{ChangeWindows, Closed};
pub use control_plane::ControlPlaneTls;
pub use edge::{AccessLog, Destination, Edge, Keep, MutualTls, Pair, Public, Tls};
pub use finding::{Finding, Problem};
pub use wan::{End, Line, Wan};

/// Where the platform is, what it consists of and the times it lives by. Cannot be wrong: it only
/// comes out of [`Spec::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub regions: Vec<Region>,
    pub cells: Vec<Cell>,
    pub edge: Edge,
    pub control_plane_tls: Option<ControlPlaneTls>,
    pub lease: LeasePolicy,
    /// How session messages are committed; tickets are always strong.
    pub messages: Durability,
    pub backup: Backup,
    /// When people may move cells by plan.
    pub change_windows: ChangeWindows,
    /// What `platform up --wan` emulates.
    pub wan: Option<Wan>,
    /// Whether this is a platform on an emulated WAN: its edge is in a network of its own then.
    pub is_emulated: bool,
    /// What a packet takes between the two regions that are furthest apart, there and back. Who asks
    /// etcd waits that much longer.
    pub round_trip: Duration,
}

/// The line that `platform up --wan` adds to the `regions.yaml` it applies: everybody who reads that
/// file finds the edge where it is.
pub const EMULATED: &str = "emulated: true\n";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub id: RegionId,
    /// For people; may be in any language.
    pub name: String,
    pub network: Network,
    /// How much weight of cells it can carry; nothing is known without.
    pub capacity: Option<u32>,
}

/// A `/16`, written `127.1.0.0/16`; everything of a region listens inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network([u8; 2]);

impl Network {
    #[must_use]
    pub fn prefix(self) -> [u8; 2] {
        self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.0.0/16", self.0[0], self.0[1])
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub id: CellId,
    /// The cell's share of the users, relative to the other cells.
    pub weight: u32,
    /// Where the cell is active at first.
    pub home: RegionId,
    pub standbys: Vec<RegionId>,
}

impl Cell {
    /// Returns every site of the cell, its home first.
    pub fn sites(&self) -> impl Iterator<Item = SiteId> {
        self.regions().map(|region| SiteId { cell: self.id.clone(), region: region.clone() })
    }

    /// Returns every region the cell has a site in, its home first.
    pub fn regions(&self) -> impl Iterator<Item = &RegionId> {
        std::iter::once(&self.home).chain(&self.standbys)
    }
}

/// The times of the record lease. `right·(1+ρ) + STOP < patience·(1−ρ) − GUARD` holds, so that the
/// active site has stopped before anybody may take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// How often the active site renews (`h`).
    pub renew: Duration,
    /// How long one renewal lets it serve, from the sending (`L`).
    pub right: Duration,
    /// How long an observer must see no renewal before it takes over (`D`).
    pub patience: Duration,
}

/// Error of a clock's rate, per cent (`ρ`).
pub const CLOCK_ERROR_PERCENT: u32 = 1;
/// How long stopping PostgreSQL at once may take (`K`); 24 ms were measured.
pub const STOP: Duration = Duration::from_millis(200);
/// Kept between the end of the old right and the beginning of the new (`g`).
pub const GUARD: Duration = Duration::from_millis(50);

impl LeasePolicy {
    /// Returns whether the old right is over, with the database stopped, before a new one begins.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        let old = self.right * (100 + CLOCK_ERROR_PERCENT) / 100 + STOP;
        let new = self.patience * (100 - CLOCK_ERROR_PERCENT) / 100;
        old + GUARD < new && self.renew * 2 <= self.right
    }
}

/// What an acknowledgement of a write means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On a standby's disk too: survives the loss of a region.
    Strong,
    /// On the active site's disk: survives the loss of a process.
    Weak,
}

impl Spec {
    /// Reads `regions.yaml` and returns everything wrong with it, not just the first thing.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        read::read(text)
    }

    #[must_use]
    pub fn region(&self, id: &RegionId) -> Option<&Region> {
        self.regions.iter().find(|region| region.id == *id)
    }

    #[must_use]
    pub fn cell(&self, id: &CellId) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.id == *id)
    }

    #[must_use]
    pub fn weights(&self) -> BTreeMap<CellId, u32> {
        self.cells.iter().map(|cell| (cell.id.clone(), cell.weight)).collect()
    }
}

#[cfg(test)]
mod tests;
