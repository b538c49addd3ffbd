//! What a router routes by: placement, activations and endpoints, at one version.

mod difference;
mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::{Activation, CellId, Epoch, Placement, RegionId, Slot, Version};
pub use difference::Difference;

/// A consistent view of the whole platform, swapped whole and never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub version: Version,
    pub placement: Placement,
    pub cells: BTreeMap<CellId, RoutedCell>,
}

/// One cell, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedCell {
    pub activation: Activation,
    /// Where each site's gateway listens.
    pub gateways: BTreeMap<RegionId, SocketAddr>,
}

/// Why a snapshot does not replace the one in use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("version {offered} is older than {current}")]
    OlderVersion { current: Version, offered: Version },
    #[error("cell {cell}: epoch {offered} is older than {current}")]
    OlderEpoch { cell: CellId, current: Epoch, offered: Epoch },
    #[error("it lists no cell")]
    Empty,
    #[error("cell {0} owns slots but is not listed")]
    UnknownCell(CellId),
    #[error("cell {0} has no gateway in any region")]
    NoGateway(CellId),
    #[error("cell {0} is missing, and owned slots before")]
    Shrunken(CellId),
    #[error("{moved} slots change owner at once, more than {limit}, and nobody has permitted it")]
    TooManyMoves { moved: usize, limit: usize },
}

/// Largest share of the slots that one snapshot may move: a larger jump is more likely a broken
/// table than a plan, unless a person says otherwise in the table itself.
pub const MOVES_MAX: usize = crate::SLOTS / 20;

/// Where a user's request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    pub slot: Slot,
    pub cell: &'a CellId,
    pub epoch: Epoch,
    /// The active site and its gateway; `None` while the cell has none.
    pub site: Option<(&'a RegionId, SocketAddr)>,
}

impl Refusal {
    /// What kind of refusal this is, for counting.
    pub const CODES: [&'static str; 7] = [
        "older-version",
        "older-epoch",
        "empty",
        "unknown-cell",
        "no-gateway",
        "shrunken",
        "too-many-moves",
    ];

    #[must_use]
    pub fn code(&self) -> &'static str {
        let [older_version, older_epoch, empty, unknown, no_gateway, shrunken, moves] = Self::CODES;
        match self {
            Self::OlderVersion { .. } => older_version,
            Self::OlderEpoch { .. } => older_epoch,
            Self::Empty => empty,
            Self::UnknownCell(_) => unknown,
            Self::NoGateway(_) => no_gateway,
            Self::Shrunken(_) => shrunken,
            Self::TooManyMoves { .. } => moves,
        }
    }
}

impl Snapshot {
    /// Returns where requests of this slot go. An array index and a map of a few cells.
    #[must_use]
    pub fn route(&self, slot: Slot) -> Route<'_> {
        self.route_to(slot, self.placement.cell_of(slot))
    }

    /// Returns where requests of this user go: the same, but for those who live apart.
    #[must_use]
    pub fn route_of(&self, user: &str) -> Route<'_> {
        let slot = Slot::of(user);
        self.route_to(slot, self.placement.cell_of_user(user, slot))
    }

    fn route_to<'a>(&'a self, slot: Slot, cell: &'a CellId) -> Route<'a> {
        let routed = &self.cells[cell];
        let site = routed
            .activation
            .serving()
            .and_then(|region| routed.gateways.get(region).map(|gateway| (region, *gateway)));
        Route { slot, cell, epoch: routed.activation.epoch, site }
    }

    /// Checks what holds for every snapshot, wherever it comes from.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.cells.is_empty() {
            return Err(Refusal::Empty);
        }
        if let Some(cell) = self.needed().into_iter().find(|cell| !self.cells.contains_key(*cell)) {
            return Err(Refusal::UnknownCell(cell.clone()));
        }
        match self.cells.iter().find(|(_, routed)| routed.gateways.is_empty()) {
            Some((cell, _)) => Err(Refusal::NoGateway(cell.clone())),
            None => Ok(()),
        }
    }

    /// Checks whether `self` may replace `current`; asked when applying, not when fetching (I2).
    pub fn may_replace(&self, current: &Self) -> Result<(), Refusal> {
        self.check()?;
        if self.version < current.version {
            return Err(Refusal::OlderVersion { current: current.version, offered: self.version });
        }
        let needed = current.needed();
        for (cell, routed) in &current.cells {
            match self.cells.get(cell) {
                None if needed.contains(cell) => return Err(Refusal::Shrunken(cell.clone())),
                Some(offered) if offered.activation.epoch < routed.activation.epoch => {
                    return Err(Refusal::OlderEpoch {
                        cell: cell.clone(),
                        current: routed.activation.epoch,
                        offered: offered.activation.epoch,
                    });
                }
                None | Some(_) => {}
            }
        }
        let moved = self.placement.moved(&current.placement).len();
        let limit = MOVES_MAX.max(self.placement.permitted());
        if moved > limit {
            return Err(Refusal::TooManyMoves { moved, limit });
        }
        Ok(())
    }

    /// Returns the cells that somebody's data is in.
    fn needed(&self) -> BTreeSet<&CellId> {
        let owners = self.placement.shares().into_iter().filter(|(_, share)| *share > 0);
        let apart = self.placement.overrides().map(|(_, cell)| cell);
        owners.map(|(cell, _)| cell).chain(apart).collect()
    }
}

#[cfg(test)]
mod tests;
