//! An operation that is not understood here: another version has begun it. It goes on as far as can be told,
//! and is in the way of what it may touch.

use std::collections::BTreeSet;
use std::fmt;

use topology::{CellId, RegionId};

use super::{Goal, Move, What};

/// What its record names; if that is nothing, it may be about everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stranger {
    pub cells: BTreeSet<CellId>,
    pub regions: BTreeSet<RegionId>,
}

impl Stranger {
    /// Whether a new operation may touch the same. What is lost waits for nobody who cannot be asked.
    #[must_use]
    pub fn is_in_the_way_of(&self, goal: &Goal, waves: &[Vec<What>]) -> bool {
        if matches!(goal, Goal::Failover { .. }) {
            return false;
        }
        if self.says_nothing() {
            return true;
        }
        // One about whole regions may empty them.
        let empties = self.cells.is_empty() && goal.drains().is_some();
        let about = goal.cell().is_some_and(|cell| self.cells.contains(cell))
            || goal.region().is_some_and(|region| self.regions.contains(region));
        let moves = waves.iter().flatten().any(|what| match what {
            What::Move(Move { cell, from, to, .. }) => {
                let is_named = |region| self.regions.contains(region);
                self.cells.contains(cell) || is_named(from) || is_named(to)
            }
            What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => {
                false
            }
        });
        empties || about || moves
    }

    fn says_nothing(&self) -> bool {
        self.cells.is_empty() && self.regions.is_empty()
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.says_nothing() {
            return f.write_str("whatever cell or region");
        }
        let cells = self.cells.iter().map(CellId::as_str);
        let names: Vec<&str> = cells.chain(self.regions.iter().map(RegionId::as_str)).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::safety::world::World;

    /// c1 is at home in east, c2 in the north. What it names, what would begin, and whether it may.
    const TABLE: &str = "
        -        | evacuate east        | no
        -        | switchover c2@east   | no
        -        | force c2@east        | yes
        east     | evacuate east        | no
        east     | switchover c1@south  | no
        east     | switchover c2@south  | yes
        east     | drain north          | no
        east     | undrain north        | yes
        east     | retire-site c2@east  | no
        c1       | switchover c1@south  | no
        c1       | evacuate east        | no
        c1       | evacuate north       | yes
        c1       | add-site c1@south    | no
        c1       | drain east           | yes
        c1 south | switchover c2@south  | no
        c1 south | failover c1          | yes
    ";

    #[test]
    fn it_is_in_the_way_of_what_it_may_touch() {
        let world = World::new("east north", 10);
        for line in TABLE.lines().filter(|line| line.contains('|')) {
            let words: Vec<&str> = line.split('|').map(str::trim).collect();
            let mut stranger = Stranger::default();
            for name in words[0].split(' ').filter(|name| *name != "-") {
                if name.starts_with('c') {
                    stranger.cells.insert(name.parse().unwrap());
                } else {
                    stranger.regions.insert(name.parse().unwrap());
                }
            }
            let operation = world.operation(words[1], tokio::time::Instant::now());
            let waves: Vec<Vec<What>> = operation
                .waves
                .iter()
                .map(|wave| wave.iter().map(|step| step.what.clone()).collect())
                .collect();
            let may = if stranger.is_in_the_way_of(&operation.goal, &waves) { "no" } else { "yes" };
            assert_eq!(may, words[2], "{line}");
        }
    }
}
