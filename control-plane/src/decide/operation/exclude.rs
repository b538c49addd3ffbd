//! Which operations do not go on side by side: those that touch the same region or the same cell.
//!
//! ```text
//!                     | region             | cells
//!  evacuate, restore  | its own            | those that it has yet to move
//!  drain, undrain     | its own            | none
//!  switchover         | two, in passing    | its own, which moves
//!  retire-site        | none               | its own, which loses a site
//!  add-site           | none               | its own, which gains a site
//!  failover           | none               | its own, which is lost
//! ```
//!
//! Any number may pass through a region that is nobody's own. A cell that gains a site may be moved
//! meanwhile. Two that empty a region exclude each other, whichever these are. Nothing else begins on a cell
//! that fails over, and a failover begins whatever else goes on there, but for another failover: what is
//! lost waits for nothing that cannot go on without it. What is not foreseen here costs time and never data:
//! each step is checked again, and each write is compared with what is there.

use std::collections::BTreeMap;
use std::fmt;

use topology::{CellId, RegionId};

use super::{Goal, Operation, Status, What};

/// What two operations both touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common<'a> {
    Region(&'a RegionId),
    Cell(&'a CellId),
    /// They empty two regions.
    Emptying,
}

/// What becomes of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Moves,
    LosesASite,
    GainsASite,
    IsLost,
}

impl Turn {
    /// Whether this may go on while `new` begins. A site that is copied follows whoever is active: an hour
    /// of that holds no move up.
    fn lets(self, new: Self) -> bool {
        match (self, new) {
            (Self::Moves, Self::GainsASite)
            | (Self::GainsASite, Self::Moves)
            | (Self::Moves | Self::LosesASite | Self::GainsASite, Self::IsLost) => true,
            (Self::IsLost, _)
            | (Self::Moves, Self::Moves | Self::LosesASite)
            | (Self::LosesASite, Self::Moves | Self::LosesASite | Self::GainsASite)
            | (Self::GainsASite, Self::LosesASite | Self::GainsASite) => false,
        }
    }
}

/// Returns what an operation that goes on and a new one both touch, so that the new one does not begin;
/// nothing if they may go on side by side.
#[must_use]
pub fn in_common<'a>(going_on: &'a Operation, new: &'a Operation) -> Option<Common<'a>> {
    if going_on.status.has_ended() || new.status.has_ended() {
        return None;
    }
    let own = |it: &'a Operation, beside: &'a Operation| {
        own_region(&it.goal)
            .filter(|region| own_region(&beside.goal) == Some(*region) || passes(beside, region))
    };
    if let Some(region) = own(going_on, new).or_else(|| own(new, going_on)) {
        return Some(Common::Region(region));
    }
    if going_on.goal.drains().is_some() && new.goal.drains().is_some() {
        return Some(Common::Emptying);
    }
    let begin = cells(new);
    let clash = |cell: &CellId, turn: Turn| begin.get(cell).is_some_and(|new| !turn.lets(*new));
    cells(going_on)
        .into_iter()
        .find(|(cell, turn)| clash(cell, *turn))
        .map(|(cell, _)| Common::Cell(cell))
}

fn own_region(goal: &Goal) -> Option<&RegionId> {
    match goal {
        Goal::Evacuate(region)
        | Goal::Restore(region)
        | Goal::Drain(region)
        | Goal::Undrain(region) => Some(region),
        Goal::RetireSite(_) | Goal::AddSite(_) | Goal::Switchover(_) | Goal::Failover { .. } => {
            None
        }
    }
}

/// Whether a cell is moved on its own, from the region or into it.
fn passes(operation: &Operation, region: &RegionId) -> bool {
    let ends = |what: &What| match what {
        What::Move(planned) => planned.from == *region || planned.to == *region,
        What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => {
            false
        }
    };
    matches!(operation.goal, Goal::Switchover(_)) && operation.steps().any(|step| ends(&step.what))
}

fn cells(operation: &Operation) -> BTreeMap<&CellId, Turn> {
    let ahead = operation.steps().filter(|step| !step.state.has_ended());
    let moves = ahead.filter_map(|step| match &step.what {
        What::Move(planned) => Some((&planned.cell, Turn::Moves)),
        What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => None,
    });
    let own = match &operation.goal {
        // What is taken back is a site that leaves again.
        Goal::AddSite(site) if operation.status != Status::Undoing => {
            Some((&site.cell, Turn::GainsASite))
        }
        Goal::RetireSite(site) | Goal::AddSite(site) => Some((&site.cell, Turn::LosesASite)),
        Goal::Failover { cell, .. } => Some((cell, Turn::IsLost)),
        Goal::Evacuate(_)
        | Goal::Restore(_)
        | Goal::Drain(_)
        | Goal::Undrain(_)
        | Goal::Switchover(_) => None,
    };
    moves.chain(own).collect()
}

impl fmt::Display for Common<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => write!(f, "both are about {region}"),
            Self::Cell(cell) => write!(f, "both are about {cell}"),
            Self::Emptying => f.write_str("no second region is emptied while one is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::operation::StepState;
    use crate::decide::safety::world::World;

    /// c1 and c2 are at home in east, and c2 is in the north; c3 is in the north, c4 in the south.
    const TABLE: &str = "
        evacuate east       | evacuate east       | both are about east
        evacuate east       | restore east        | both are about east
        evacuate east       | drain east          | both are about east
        drain north         | undrain north       | both are about north
        evacuate east       | evacuate south      | no second region is emptied while one is
        drain east          | evacuate south      | no second region is emptied while one is
        drain east          | drain north         | no second region is emptied while one is
        evacuate north      | restore east        | both are about c2
        evacuate south      | restore east        | -
        drain north         | restore east        | -
        retire-site c1@south| evacuate east       | both are about c1
        retire-site c1@south| restore east        | -
        retire-site c1@south| evacuate south      | -
        retire-site c1@south| drain east          | -
        retire-site c1@south| retire-site c1@north| both are about c1
        retire-site c1@south| retire-site c2@south| -
        retire-site c1@south| add-site c1@south   | both are about c1
        add-site c1@south   | add-site c1@north   | both are about c1
        add-site c1@south   | add-site c2@south   | -
        add-site c1@south   | evacuate east       | -
        add-site c2@south   | restore east        | -
        add-site c1@south   | evacuate south      | -
        switchover c1@south | switchover c1@north | both are about c1
        switchover c1@south | switchover c2@south | -
        switchover c1@south | switchover c4@east  | -
        switchover c1@south | evacuate east       | both are about east
        switchover c3@east  | evacuate east       | both are about east
        switchover c3@south | drain south         | both are about south
        switchover c3@south | evacuate east       | -
        switchover c2@south | restore east        | both are about c2
        switchover c1@north | restore east        | both are about east
        switchover c4@north | restore east        | -
        switchover c1@south | retire-site c1@north| both are about c1
        switchover c1@south | retire-site c2@south| -
        switchover c1@north | add-site c1@south   | -
        failover c1         | force c1@south      | both are about c1
        failover c1         | failover c2         | -
        failover c1         | switchover c2@south | -
        force c1@south      | drain south         | -
    ";

    /// What goes on, and what would begin beside it.
    const LOST: &str = "
        failover c1         | switchover c1@south | both are about c1
        failover c1         | evacuate east       | both are about c1
        failover c1         | retire-site c1@south| both are about c1
        failover c1         | add-site c1@south   | both are about c1
        switchover c1@south | failover c1         | -
        evacuate east       | force c1@south      | -
        retire-site c1@south| failover c1         | -
        add-site c1@south   | failover c1         | -
    ";

    #[test]
    fn two_exclude_each_other_if_they_touch_the_same() {
        for line in TABLE.lines().filter(|line| line.contains('|')) {
            let words: Vec<&str> = line.split('|').map(str::trim).collect();
            let (one, other) = (operation(words[0]), operation(words[1]));
            for (one, other) in [(&one, &other), (&other, &one)] {
                assert_eq!(told(one, other), words[2], "{line}");
            }
        }
    }

    #[test]
    fn a_failover_waits_for_no_other_kind_and_every_other_kind_for_it() {
        for line in LOST.lines().filter(|line| line.contains('|')) {
            let words: Vec<&str> = line.split('|').map(str::trim).collect();
            assert_eq!(told(&operation(words[0]), &operation(words[1])), words[2], "{line}");
        }
    }

    #[test]
    fn a_cell_that_has_been_moved_is_free_again_and_its_region_is_not() {
        let (mut evacuate, retire) =
            (operation("evacuate east"), operation("retire-site c1@south"));
        for step in evacuate.waves.iter_mut().flatten() {
            step.state = StepState::Skipped("it has left".to_owned());
        }
        assert_eq!(told(&evacuate, &retire), "-");
        assert_eq!(told(&evacuate, &operation("undrain east")), "both are about east");
    }

    #[test]
    fn a_site_that_leaves_again_is_in_the_way_of_a_move() {
        let (mut add, evacuate) = (operation("add-site c1@south"), operation("evacuate east"));
        assert_eq!(told(&add, &evacuate), "-");
        add.status = Status::Undoing;
        assert_eq!(told(&add, &evacuate), "both are about c1");
    }

    #[test]
    fn what_has_ended_is_in_nobodys_way() {
        let (mut one, other) = (operation("evacuate east"), operation("evacuate east"));
        for status in [Status::Done, Status::Cancelled, Status::Failed("busy".to_owned())] {
            one.status = status;
            assert_eq!(told(&one, &other), "-");
        }
    }

    fn told(one: &Operation, other: &Operation) -> String {
        in_common(one, other).map_or_else(|| "-".to_owned(), |common| common.to_string())
    }

    fn operation(goal: &str) -> Operation {
        let mut world = World::new("east east north south", 10);
        world.say("c2 is in north");
        world.operation(goal, tokio::time::Instant::now())
    }
}
