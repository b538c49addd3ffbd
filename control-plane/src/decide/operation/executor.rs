//! Which control plane executes an operation. While a cell moves, users wait for questions between whoever moves
//! it and both of its sites: over distances, least where one of them is near.

use tokio::time::Instant;
use topology::{CellId, RegionId};

use super::Goal;
use crate::decide::State;

/// Returns the region itself where it is emptied, or its cells come home: next to it each move begins or ends. A
/// cell that one asked to move is moved from next to its target, unless who was asked is next to its active site.
/// Whoever executes has to be there, and to see well whatever it looks at. Otherwise it is whoever was asked.
#[must_use]
pub fn executor(goal: &Goal, asked: &RegionId, state: &State, now: Instant) -> RegionId {
    let near = match goal {
        Goal::Evacuate(region) | Goal::Restore(region) => region,
        Goal::Switchover(site) if !is_active(state, &site.cell, asked) => &site.region,
        Goal::Switchover(_)
        | Goal::Drain(_)
        | Goal::Undrain(_)
        | Goal::RetireSite(_)
        | Goal::AddSite(_)
        | Goal::Failover { .. } => return asked.clone(),
    };
    let sees_well = state.vantages().get(near).is_some_and(|vantage| {
        let well = vantage.sites().values().all(|sighted| !sighted.health().is_bad());
        vantage.is_fresh(now) && well
    });
    if sees_well { near.clone() } else { asked.clone() }
}

fn is_active(state: &State, cell: &CellId, region: &RegionId) -> bool {
    let seen = state.cells().get(cell);
    seen.is_some_and(|seen| seen.routed.activation.holder() == Some(region))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use topology::wire::vantage::{Health, SightedSite, VantageReport};

    use super::*;
    use crate::decide::plan::tests::goal_of;
    use crate::decide::safety::world::World;
    use crate::decide::state::Fact;

    /// Who executes `goal`, asked there, so long after south has told how it sees a site. The cell c1 is active
    /// in east, and c2 in north.
    fn who(goal: &str, asked: &str, health: Health, later: u64) -> String {
        let now = Instant::now();
        let mut state = World::new("east north", 10).state(now);
        let sighted = SightedSite { health, ..SightedSite::default() };
        let report = VantageReport { sequence: 1, sites: [("c1@east".to_owned(), sighted)].into() };
        state.saw(Fact::Told { vantage: "south".parse().unwrap(), report }, now);
        let now = now + Duration::from_secs(later);
        executor(&goal_of(goal), &asked.parse().unwrap(), &state, now).to_string()
    }

    #[test]
    fn a_region_that_is_there_empties_itself_and_takes_its_cells_home() {
        assert_eq!(who("evacuate south", "north", Health::Healthy, 0), "south");
        assert_eq!(who("restore south", "north", Health::Healthy, 0), "south");
    }

    #[test]
    fn a_cell_is_moved_from_next_to_one_of_its_sites() {
        assert_eq!(who("switchover c1@south", "north", Health::Healthy, 0), "south");
        assert_eq!(who("switchover c1@south", "south", Health::Healthy, 0), "south");
        assert_eq!(who("switchover c1@south", "east", Health::Healthy, 0), "east");
        assert_eq!(who("switchover c2@south", "east", Health::Healthy, 0), "south");
    }

    #[test]
    fn whoever_was_asked_executes_what_the_region_cannot() {
        for goal in ["evacuate south", "switchover c1@south"] {
            assert_eq!(who(goal, "north", Health::Failing, 0), "north", "{goal}");
            assert_eq!(who(goal, "north", Health::Healthy, 60), "north", "{goal}");
        }
        assert_eq!(who("switchover c1@north", "south", Health::Healthy, 0), "south");
        assert_eq!(who("drain south", "north", Health::Healthy, 0), "north");
    }
}
