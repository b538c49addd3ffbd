//! Which cell owns which slot.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use hashring::HashRing;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::{CellId, SLOTS, Slot, Version};

/// Points on the ring per unit of weight. 1,024 keep a cell's share within about one percentage
/// point of its weight, and planning 100 cells below 100 ms.
const POINTS_PER_WEIGHT: u32 = 1024;

/// slot → cell, explicit and complete. Changes only when data has been moved (I7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    version: Version,
    cells: Vec<CellId>,
    /// Index into `cells`, one per slot.
    owners: Box<[u16]>,
}

/// Why a table is not a placement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlacement {
    #[error("placement covers {0} slots instead of {SLOTS}")]
    Incomplete(usize),
    #[error("placement names cell number {0}, but lists fewer cells")]
    UnknownCell(u16),
    #[error("placement lists cell {0} twice")]
    Repeated(CellId),
}

/// One of a cell's points on the ring.
#[derive(Clone)]
struct Point {
    cell: CellId,
    number: u32,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cell.as_str().hash(state);
        self.number.hash(state);
    }
}

impl Placement {
    /// Plans slot → cell by weight. A cell added or removed moves only the slots it gains or loses.
    ///
    /// # Panics
    ///
    /// Panics if no cell has a weight: `Spec` refuses such a file.
    #[must_use]
    pub fn plan(weights: &BTreeMap<CellId, u32>, version: Version) -> Self {
        let mut ring = HashRing::with_hasher(Xxh3DefaultBuilder::new());
        for (cell, weight) in weights {
            ring.batch_add(
                (0..weight * POINTS_PER_WEIGHT)
                    .map(|number| Point { cell: cell.clone(), number })
                    .collect(),
            );
        }
        let cells: Vec<CellId> = weights.keys().cloned().collect();
        let owners = Slot::all()
            .map(|slot| {
                let point = ring.get(&slot).expect("a cell has a weight");
                let index = cells.binary_search(&point.cell).expect("points come from these cells");
                u16::try_from(index).expect("fewer than 65,536 cells")
            })
            .collect();
        Self { version, cells, owners }
    }

    /// Takes a table as it was stored.
    pub fn try_new(
        version: Version,
        cells: Vec<CellId>,
        owners: Vec<u16>,
    ) -> Result<Self, InvalidPlacement> {
        if owners.len() != SLOTS {
            return Err(InvalidPlacement::Incomplete(owners.len()));
        }
        if let Some(owner) = owners.iter().find(|owner| usize::from(**owner) >= cells.len()) {
            return Err(InvalidPlacement::UnknownCell(*owner));
        }
        let mut seen = BTreeSet::new();
        if let Some(cell) = cells.iter().find(|cell| !seen.insert(*cell)) {
            return Err(InvalidPlacement::Repeated(cell.clone()));
        }
        Ok(Self { version, cells, owners: owners.into() })
    }

    /// Returns the cell that owns a slot.
    #[must_use]
    pub fn cell_of(&self, slot: Slot) -> &CellId {
        &self.cells[usize::from(self.owners[usize::from(slot.number())])]
    }

    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the same table under another version: the store's revision is known only afterwards.
    #[must_use]
    pub fn at(self, version: Version) -> Self {
        Self { version, ..self }
    }

    #[must_use]
    pub fn cells(&self) -> &[CellId] {
        &self.cells
    }

    #[must_use]
    pub fn owners(&self) -> &[u16] {
        &self.owners
    }

    /// Returns how many slots each cell owns.
    #[must_use]
    pub fn shares(&self) -> BTreeMap<&CellId, usize> {
        let mut shares: BTreeMap<&CellId, usize> =
            self.cells.iter().map(|cell| (cell, 0)).collect();
        for slot in Slot::all() {
            *shares.entry(self.cell_of(slot)).or_default() += 1;
        }
        shares
    }

    /// Returns the slots whose owner differs in `other`.
    #[must_use]
    pub fn moved(&self, other: &Self) -> Vec<Slot> {
        Slot::all().filter(|slot| self.cell_of(*slot) != other.cell_of(*slot)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cells: &[(&str, u32)]) -> Placement {
        let weights = cells.iter().map(|(id, weight)| (id.parse().unwrap(), *weight)).collect();
        Placement::plan(&weights, Version(1))
    }

    #[test]
    fn a_fourth_equal_cell_takes_a_quarter_and_nothing_else_moves() {
        let three = plan(&[("c1", 1), ("c2", 1), ("c3", 1)]);
        let four = plan(&[("c1", 1), ("c2", 1), ("c3", 1), ("c4", 1)]);
        let moved = three.moved(&four);
        let percent = moved.len() * 100 / SLOTS;
        assert!((23..=27).contains(&percent), "{percent} % moved");
        assert!(moved.iter().all(|slot| four.cell_of(*slot).as_str() == "c4"));
    }

    #[test]
    fn weights_are_shares() {
        let placement = plan(&[("big", 3), ("small", 1)]);
        let percent = placement.shares()[&"big".parse::<CellId>().unwrap()] * 100 / SLOTS;
        assert!((73..=77).contains(&percent), "{percent} %");
    }

    #[test]
    fn a_table_with_holes_is_refused() {
        let cell: CellId = "c1".parse().unwrap();
        assert_eq!(
            Placement::try_new(Version(1), vec![cell.clone()], vec![0; 7]),
            Err(InvalidPlacement::Incomplete(7))
        );
        assert_eq!(
            Placement::try_new(Version(1), vec![cell], vec![1; SLOTS]),
            Err(InvalidPlacement::UnknownCell(1))
        );
    }
}
