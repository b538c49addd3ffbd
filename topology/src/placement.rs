//! Which cell owns which slot.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use hashring::HashRing;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::{CellId, SLOTS, Slot, Version};

/// Points on the ring per unit of weight. 1,024 keep a cell's share within about one percentage
/// point of its weight, and planning 100 cells below 100 ms.
const POINTS_PER_WEIGHT: u32 = 1024;

/// Most users who live apart from their slot: with ids of 40 bytes a fifth of the 1 MB that a
/// snapshot may have.
pub const OVERRIDES_MAX: usize = 4096;
/// Longest id of such a user, as of any user.
const USER_MAX: usize = 256;

/// slot → cell, explicit and complete. Changes only when data has been moved (I7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    version: Version,
    cells: Vec<CellId>,
    /// Index into `cells`, one per slot.
    owners: Box<[u16]>,
    /// user → index into `cells`, for users who live apart from their slot. Theirs are the rows of
    /// one user in a slot that has others: a cell that they have left keeps none of them, for an
    /// agent's id says the slot and not the user.
    overrides: BTreeMap<String, u16>,
    /// How many slots a person has let this table move at once; 0 where nobody was asked.
    permitted: usize,
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
    #[error("placement puts a user into cell {0}, and does not list it")]
    UnlistedCell(CellId),
    #[error("placement puts a user apart whose id has {0} bytes, not 1 to {USER_MAX}")]
    NoUser(usize),
    #[error("placement puts {0} users apart, more than {OVERRIDES_MAX}")]
    TooManyOverrides(usize),
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
        Self { version, cells, owners, overrides: BTreeMap::new(), permitted: 0 }
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
        let overrides = BTreeMap::new();
        Ok(Self { version, cells, owners: owners.into(), overrides, permitted: 0 })
    }

    /// Puts a user into another cell than their slot's, or back where that is the same.
    pub fn with_override(mut self, user: &str, cell: &CellId) -> Result<Self, InvalidPlacement> {
        if !(1..=USER_MAX).contains(&user.len()) {
            return Err(InvalidPlacement::NoUser(user.len()));
        }
        let listed = (0..).zip(&self.cells).find(|(_, listed)| *listed == cell);
        let Some((number, _)) = listed else {
            return Err(InvalidPlacement::UnlistedCell(cell.clone()));
        };
        if self.cell_of(Slot::of(user)) == cell {
            self.overrides.remove(user);
            return Ok(self);
        }
        self.overrides.insert(user.to_owned(), number);
        match self.overrides.len() {
            count if count > OVERRIDES_MAX => Err(InvalidPlacement::TooManyOverrides(count)),
            _ => Ok(self),
        }
    }

    /// Lets this table move so many slots at once: a person has looked at it.
    #[must_use]
    pub fn permitting(self, moves: usize) -> Self {
        Self { permitted: moves, ..self }
    }

    /// Returns the cell that owns a slot.
    #[must_use]
    pub fn cell_of(&self, slot: Slot) -> &CellId {
        &self.cells[usize::from(self.owners[usize::from(slot.number())])]
    }

    /// Returns the cell that has a user's data; `slot` is the user's.
    #[must_use]
    pub fn cell_of_user(&self, user: &str, slot: Slot) -> &CellId {
        &self.cells[usize::from(self.owner_of_user(user, slot))]
    }

    /// Returns that cell's number in the list of cells.
    #[must_use]
    pub fn owner_of_user(&self, user: &str, slot: Slot) -> u16 {
        let own = self.overrides.get(user).copied();
        own.unwrap_or_else(|| self.owners[usize::from(slot.number())])
    }

    /// Returns whether a cell may have something that carries this slot: all of the slot's, or what
    /// belongs to one of its users who live apart.
    #[must_use]
    pub fn may_have(&self, cell: &CellId, slot: Slot) -> bool {
        let mut apart = self.overrides();
        self.cell_of(slot) == cell
            || apart.any(|(user, home)| home == cell && Slot::of(user) == slot)
    }

    /// Returns the users who live apart from their slot, and where.
    pub fn overrides(&self) -> impl ExactSizeIterator<Item = (&str, &CellId)> {
        self.overrides.iter().map(|(user, cell)| (user.as_str(), &self.cells[usize::from(*cell)]))
    }

    /// Returns how many slots a person has let this table move at once.
    #[must_use]
    pub fn permitted(&self) -> usize {
        self.permitted
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

    /// Returns how many users live apart in one of the two, and elsewhere in the other.
    #[must_use]
    pub fn users_moved(&self, other: &Self) -> usize {
        let apart: BTreeMap<&str, &CellId> = self.overrides().chain(other.overrides()).collect();
        let home = |placement: &Self, user| placement.cell_of_user(user, Slot::of(user)).clone();
        apart.into_keys().filter(|user| home(self, user) != home(other, user)).count()
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
    fn a_user_who_lives_apart_is_found_there_and_the_others_of_the_slot_are_not() {
        let (home, away) = (cell("c1"), cell("c2"));
        let owners = vec![0; SLOTS];
        let placement =
            Placement::try_new(Version(1), vec![home.clone(), away.clone()], owners).unwrap();
        let slot = Slot::of("ada");
        let apart = placement.clone().with_override("ada", &away).unwrap();
        assert_eq!((apart.cell_of_user("ada", slot), apart.cell_of(slot)), (&away, &home));
        assert_eq!(apart.cell_of_user("bob", slot), &home);
        assert_eq!((apart.may_have(&away, slot), apart.may_have(&home, slot)), (true, true));
        assert!(!apart.may_have(&away, Slot::of("bob")));
        assert_eq!((apart.users_moved(&placement), apart.moved(&placement).len()), (1, 0));
        assert_eq!(apart.with_override("ada", &home), Ok(placement));
    }

    #[test]
    fn a_user_is_put_apart_into_a_listed_cell_only_and_not_too_many_are() {
        let placement = plan(&[("c1", 1), ("c2", 1)]);
        let refused = |user: &str, to: &str| {
            placement.clone().with_override(user, &cell(to)).unwrap_err().to_string()
        };
        assert_eq!(
            refused("ada", "c9"),
            "placement puts a user into cell c9, and does not list it"
        );
        assert!(refused("", "c1").ends_with("whose id has 0 bytes, not 1 to 256"));
        let users = || (0..).map(|number: u32| format!("user-{number}"));
        let mut of_c1 = users().filter(|user| placement.cell_of(Slot::of(user)) == &cell("c1"));
        let full = of_c1.by_ref().take(OVERRIDES_MAX);
        let full = full
            .fold(placement.clone(), |full, user| full.with_override(&user, &cell("c2")).unwrap());
        let one_more = full.with_override(&of_c1.next().unwrap(), &cell("c2"));
        assert_eq!(one_more, Err(InvalidPlacement::TooManyOverrides(OVERRIDES_MAX + 1)));
    }

    fn cell(id: &str) -> CellId {
        id.parse().unwrap()
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
