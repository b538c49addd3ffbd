//! A real incident wins: nothing is broken on top of one, and a drill that runs is stopped by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use topology::{CellId, RegionId};

use super::Alarms;
use super::rotation::Hit;
use crate::control_plane::{Alert, Cell};

/// What the control plane says at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) alerts: BTreeSet<Alert>,
    pub(crate) cells: BTreeMap<CellId, Standing>,
}

/// Where a cell is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) active: Option<RegionId>,
    pub(crate) phase: String,
}

impl Sight {
    pub(crate) fn new(alerts: Vec<Alert>, cells: &[Cell]) -> Self {
        let standing =
            |cell: &Cell| Standing { active: cell.active.clone(), phase: cell.phase.clone() };
        let cells = cells.iter().map(|cell| (cell.id.clone(), standing(cell))).collect();
        Self { alerts: alerts.into_iter().collect(), cells }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the alert {}", self.name)?;
        if let Some(cell) = &self.cell {
            write!(f, " of {cell}")?;
        }
        match &self.region {
            Some(region) => write!(f, " in {region}"),
            None => Ok(()),
        }
    }
}

/// Returns why no drill may begin; `None` if one may.
pub(crate) fn before(sight: &Sight, alarms: &Alarms) -> Option<String> {
    let moves = sight.cells.iter().find(|(_, standing)| standing.phase != "steady");
    if let Some((cell, standing)) = moves {
        return Some(format!("{cell} is {}", standing.phase));
    }
    let alert = sight.alerts.iter().find(|alert| alarms.blocks(&alert.name));
    alert.map(ToString::to_string)
}

/// Returns what has happened since that the drill cannot have done: a cell moves that it does not
/// touch, or something is the matter with one. A drill of a region touches a site of every cell, and so
/// every alert may be its own.
pub(crate) fn during(first: &Sight, now: &Sight, hit: &Hit, alarms: &Alarms) -> Option<String> {
    let others = now.cells.iter().filter(|(cell, _)| !hit.cells.contains(*cell));
    let mut moved = others.filter(|(cell, standing)| first.cells.get(*cell) != Some(*standing));
    if let Some((cell, standing)) = moved.next() {
        let active = standing.active.as_ref().map_or("nowhere", RegionId::as_str);
        return Some(format!("{cell} is {}, active {active}", standing.phase));
    }
    if !hit.regions.is_empty() {
        return None;
    }
    let is_others = |alert: &&Alert| {
        alarms.blocks(&alert.name)
            && alert.cell.as_ref().is_some_and(|cell| !hit.cells.contains(cell))
    };
    now.alerts.difference(&first.alerts).find(is_others).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_broken_on_top_of_what_a_person_should_look_at() {
        check_before("c1 steady east", None);
        check_before("c1 electing east", Some("c1 is electing"));
        check_before("c1 steady east, ! at-risk c1", Some("the alert at-risk of c1"));
        check_before("c1 steady east, ! no-passing-drill", None);
        let named = Alarms::Named(["frozen".to_owned()].into());
        assert_eq!(before(&sight("c1 steady east, ! at-risk c1"), &named), None);
        let frozen = before(&sight("c1 steady east, ! frozen c1"), &named);
        assert_eq!(frozen, Some("the alert frozen of c1".to_owned()));
    }

    #[test]
    fn what_a_drill_does_itself_stops_nobody() {
        check("c1", "", "c1 electing east, c2 steady north, ! at-risk c1", None);
        check("c1 c2", "", "c1 promoting south, c2 electing north", None);
        // A standby of c2 was in the region that is gone.
        check("c1", "east", "c1 electing east, c2 steady north, ! at-risk c2", None);
    }

    #[test]
    fn what_it_cannot_have_done_stops_it() {
        let moving = "c1 electing east, c2 electing north";
        check("c1", "", moving, Some("c2 is electing, active north"));
        check("c1", "east", moving, Some("c2 is electing, active north"));
        let moved = "c1 steady south, c2 steady south";
        check("c1", "", moved, Some("c2 is steady, active south"));
        let alert = "c1 electing east, c2 steady north, ! gray-failure c2";
        check("c1", "", alert, Some("the alert gray-failure of c2"));
    }

    #[track_caller]
    fn check_before(now: &str, expected: Option<&str>) {
        assert_eq!(before(&sight(now), &Alarms::All).as_deref(), expected);
    }

    #[track_caller]
    fn check(cells: &str, regions: &str, now: &str, expected: Option<&str>) {
        let first = sight("c1 steady east, c2 steady north");
        let hit = Hit {
            cells: cells.split_whitespace().map(|cell| cell.parse().unwrap()).collect(),
            regions: regions.split_whitespace().map(|region| region.parse().unwrap()).collect(),
        };
        assert_eq!(during(&first, &sight(now), &hit, &Alarms::All).as_deref(), expected);
    }

    fn sight(text: &str) -> Sight {
        let mut sight = Sight::default();
        for part in text.split(", ") {
            let words: Vec<&str> = part.split(' ').collect();
            if let ["!", name, cell @ ..] = &words[..] {
                let cell = cell.first().map(|cell| cell.parse().unwrap());
                sight.alerts.insert(Alert { name: (*name).to_owned(), cell, region: None });
            } else {
                let standing =
                    Standing { active: words[2].parse().ok(), phase: words[1].to_owned() };
                sight.cells.insert(words[0].parse().unwrap(), standing);
            }
        }
        sight
    }
}
