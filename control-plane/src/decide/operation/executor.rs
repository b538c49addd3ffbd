//! Which control plane executes an operation. While a cell moves, users wait for questions between whoever moves
//! it and both of its sites: over distances, least where one of them is near.

use tokio::time::Instant;
use topology::RegionId;

use super::Goal;
use crate::decide::State;

/// Returns the region itself where it is emptied, or its cells come home: next to it each move begins or ends. It
/// has to be there, and to see well whatever it looks at. Otherwise it is whoever was asked.
#[must_use]
pub fn executor(goal: &Goal, asked: &RegionId, state: &State, now: Instant) -> RegionId {
    let (Goal::Evacuate(region) | Goal::Restore(region)) = goal else { return asked.clone() };
    let sees_well = state.vantages().get(region).is_some_and(|vantage| {
        let well = vantage.sites().values().all(|sighted| !sighted.health().is_bad());
        vantage.is_fresh(now) && well
    });
    if sees_well { region.clone() } else { asked.clone() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use topology::wire::vantage::{Health, SightedSite, VantageReport};

    use super::*;
    use crate::decide::state::Fact;

    /// Who executes `goal`, asked in north, so long after south has told how it sees a site.
    fn who(goal: fn(RegionId) -> Goal, health: Health, later: u64) -> String {
        let (mut state, now) = (State::default(), Instant::now());
        let south: RegionId = "south".parse().unwrap();
        let sighted = SightedSite { health, ..SightedSite::default() };
        let report = VantageReport { sequence: 1, sites: [("c1@east".to_owned(), sighted)].into() };
        state.saw(Fact::Told { vantage: south.clone(), report }, now);
        let asked = "north".parse().unwrap();
        executor(&goal(south), &asked, &state, now + Duration::from_secs(later)).to_string()
    }

    #[test]
    fn a_region_that_is_there_empties_itself_and_takes_its_cells_home() {
        assert_eq!(who(Goal::Evacuate, Health::Healthy, 0), "south");
        assert_eq!(who(Goal::Restore, Health::Healthy, 0), "south");
    }

    #[test]
    fn whoever_was_asked_executes_what_the_region_cannot() {
        assert_eq!(who(Goal::Evacuate, Health::Failing, 0), "north");
        assert_eq!(who(Goal::Evacuate, Health::Healthy, 60), "north");
        assert_eq!(who(Goal::Drain, Health::Healthy, 0), "north");
    }
}
