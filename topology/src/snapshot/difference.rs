//! What differs between two snapshots, one line per thing, for who has to decide between them.

use std::fmt;
use std::net::SocketAddr;

use super::Snapshot;
use crate::{Activation, CellId, SiteId};

/// One thing that is otherwise in the later of two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    SlotsMoved(usize),
    /// Users who live apart from their slot, or no longer do.
    UsersMoved(usize),
    CellAdded(CellId),
    CellRemoved(CellId),
    Activation {
        cell: CellId,
        before: Box<Activation>,
        after: Box<Activation>,
    },
    Gateway {
        site: SiteId,
        before: Option<SocketAddr>,
        after: Option<SocketAddr>,
    },
}

impl Snapshot {
    /// Returns what is otherwise in `self` than in `earlier`.
    #[must_use]
    pub fn differences(&self, earlier: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let moved = self.placement.moved(&earlier.placement).len();
        if moved > 0 {
            differences.push(Difference::SlotsMoved(moved));
        }
        let users = self.placement.users_moved(&earlier.placement);
        if users > 0 {
            differences.push(Difference::UsersMoved(users));
        }
        for cell in earlier.cells.keys().filter(|cell| !self.cells.contains_key(*cell)) {
            differences.push(Difference::CellRemoved(cell.clone()));
        }
        for (cell, after) in &self.cells {
            let Some(before) = earlier.cells.get(cell) else {
                differences.push(Difference::CellAdded(cell.clone()));
                continue;
            };
            if before.activation != after.activation {
                differences.push(Difference::Activation {
                    cell: cell.clone(),
                    before: Box::new(before.activation.clone()),
                    after: Box::new(after.activation.clone()),
                });
            }
            let regions = before.gateways.keys().chain(
                after.gateways.keys().filter(|region| !before.gateways.contains_key(*region)),
            );
            for region in regions {
                let (before, after) = (before.gateways.get(region), after.gateways.get(region));
                if before != after {
                    differences.push(Difference::Gateway {
                        site: SiteId { cell: cell.clone(), region: region.clone() },
                        before: before.copied(),
                        after: after.copied(),
                    });
                }
            }
        }
        differences
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlotsMoved(count) => write!(f, "{count} slots have another cell"),
            Self::UsersMoved(count) => {
                write!(f, "{count} users who live apart from their slots have another cell")
            }
            Self::CellAdded(cell) => write!(f, "{cell} is new"),
            Self::CellRemoved(cell) => write!(f, "{cell} is gone"),
            Self::Activation { cell, before, after }
                if (before.epoch, &before.phase) == (after.epoch, &after.phase) =>
            {
                write!(f, "{cell}: {after}, with other voters or for another reason")
            }
            Self::Activation { cell, before, after } => write!(f, "{cell}: {before} → {after}"),
            Self::Gateway { site, before, after } => {
                let shown =
                    |at: &Option<SocketAddr>| at.map_or("nowhere".to_owned(), |at| at.to_string());
                write!(f, "{site}: at {} → {}", shown(before), shown(after))
            }
        }
    }
}
