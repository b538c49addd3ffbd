use std::collections::BTreeMap;

use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::report::{Room, SiteReport};
use topology::{Activation, Epoch, SiteId};

use super::*;
use crate::decide::Fact;
use crate::store::{Kept, Reading};

#[test]
fn a_standby_that_keeps_up_may_take_over() {
    check("", "south", "from east");
}

#[test]
fn there_must_be_such_a_cell_and_it_must_be_at_rest() {
    check("no cell", "south", "there is no cell c1");
    check("electing", "south", "the cell is electing after east");
    check("promoting", "south", "the cell is promoting east");
}

#[test]
fn the_target_must_be_another_site_that_votes() {
    check("", "east", "east is the active site");
    check("", "west", "west is not among the cell's standbys that vote");
}

#[test]
fn both_sites_must_answer() {
    check("east silent", "south", "the agent in east does not answer, and could not hand over");
    check("south silent", "south", "the agent in south does not answer");
    check("north silent", "south", "from east");
}

#[test]
fn the_target_must_stream_have_room_and_be_close() {
    check("south cloning", "south", "south is no streaming standby: PostgreSQL is cloning");
    check("south apart", "south", "south does not stream from the active site");
    check("south far", "south", "south is 1048577 bytes behind, more than 1048576");
    check("south full", "south", "south has no room to write in");
    check("east full", "south", "from east");
}

#[test]
fn a_target_without_the_last_checkpoint_does_not_have_everything() {
    let vote = |system, timeline, lsn| Vote { system, timeline, begun: None, lsn };
    let end = End::clean(3, 500);
    assert!(has_everything(&vote(1, 3, 501), Some(1), end));
    assert!(!has_everything(&vote(1, 3, 500), Some(1), end));
    assert!(!has_everything(&vote(2, 3, 501), Some(1), end));
    assert!(!has_everything(&vote(1, 3, 501), None, end));
    let end = End::flushed(3, 500);
    assert!(has_everything(&vote(1, 3, 500), Some(1), end));
    assert!(!has_everything(&vote(1, 3, 499), Some(1), end));
}

#[test]
fn a_target_with_a_history_of_its_own_does_not_have_everything_however_far_it_is() {
    let end = End::clean(3, 500);
    for timeline in [2, 4] {
        assert!(!has_everything(
            &Vote { system: 1, timeline, begun: None, lsn: 900 },
            Some(1),
            end
        ));
    }
}

/// A healthy cell, except for `but`, asked to move to `target`.
#[track_caller]
fn check(but: &str, target: &str, expected: &str) {
    let cell = "c1".parse().unwrap();
    let found = match super::check(&state(but), &cell, &target.parse().unwrap()) {
        Ok(from) => format!("from {from}"),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(found, expected);
}

fn state(but: &str) -> State {
    let now = Instant::now();
    let mut state = State::default();
    let east: RegionId = "east".parse().unwrap();
    let phase = match but {
        "electing" => Phase::Electing { predecessor: Some(east) },
        "promoting" => Phase::Promoting { active: east },
        _ => Phase::Steady { active: east },
    };
    let activation = Activation {
        epoch: Epoch(7),
        phase,
        voters: ["north", "south"].map(|region| region.parse().unwrap()).into(),
        retired: [].into(),
        acks: 1,
        system: Some(1),
        elected_at: None,
        cause: None,
        reason: String::new(),
    };
    let value = RoutedCell { activation, gateways: BTreeMap::new() };
    let mut reading = Reading::default();
    if but != "no cell" {
        reading.cells.insert("c1".parse().unwrap(), Kept::at(1, value));
    }
    state.saw(Fact::Read(reading), now);
    for region in ["east", "north", "south"] {
        let site: SiteId = format!("c1@{region}").parse().unwrap();
        state.saw(Fact::Probed { site: site.clone(), answer: Some(report(region, but)) }, now);
        if but == format!("{region} silent") {
            state.saw(Fact::Probed { site: site.clone(), answer: None }, now);
            state.saw(Fact::Probed { site, answer: None }, now);
        }
    }
    state
}

fn report(region: &str, but: &str) -> SiteReport {
    let active = region == "east";
    let mut lag_bytes: BTreeMap<String, u64> = BTreeMap::new();
    if active {
        lag_bytes.insert("north".to_owned(), 0);
        match but {
            "south apart" => None,
            "south far" => lag_bytes.insert("south".to_owned(), LAG_MAX + 1),
            _ => lag_bytes.insert("south".to_owned(), LAG_MAX),
        };
    }
    let postgres = match (active, but == format!("{region} cloning")) {
        (true, _) => "primary",
        (false, true) => "cloning",
        (false, false) => "standby",
    };
    SiteReport {
        sequence: 1,
        tenure: if active { TenureName::Serving } else { TenureName::Standby },
        epoch: 7,
        postgres: postgres.to_owned(),
        lsn: 1,
        timeline: 1,
        lag_bytes,
        flush: None,
        room: Some(Room { left_bytes: 1, full: but == format!("{region} full") }),
        services: BTreeMap::new(),
        at_risk: false,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}
