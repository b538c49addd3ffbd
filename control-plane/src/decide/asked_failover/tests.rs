use std::collections::BTreeMap;
use std::time::Duration;

use topology::snapshot::RoutedCell;
use topology::wire::report::SiteReport;
use topology::{Activation, Epoch, SiteId, Spec};

use super::outlook::{Outlook, outlook};
use super::*;
use crate::decide::Fact;
use crate::store::{Kept, Lease, Reading};

#[test]
fn a_site_that_does_not_answer_may_be_failed_over() {
    check("east silent", "", "from epoch 7");
    check("east silent", "to south", "from epoch 7");
}

#[test]
fn a_site_in_its_right_is_moved_by_plan() {
    let refused = "east answers and has a right to serve: move the cell by plan, with switchover";
    check("", "", refused);
    check("", "accepting data loss", refused);
    // Its lease is silent, and it serves by what its voters promise.
    check("lease over", "", refused);
    check("lease over, east fenced", "", "from epoch 7");
    check("east fenced", "", refused);
}

#[test]
fn the_target_must_be_a_site_that_votes_and_answers() {
    check("east silent", "to west", "the cell has no site in west");
    check("east silent, south silent", "to south", "the agent in south does not answer");
    check(
        "east silent, only north votes",
        "to south",
        "south is not among the cell's sites that vote",
    );
    check("east silent, only north votes", "to south accepting data loss", "from epoch 7");
}

#[test]
fn a_target_that_is_behind_is_refused_before_anything_is_touched() {
    let refused = "north is 50 bytes further than south; leave `to` out to promote the furthest";
    check("east silent, north ahead", "to south", refused);
    check("east silent, north ahead", "to south accepting data loss", "from epoch 7");
    check("east silent, north ahead", "to north", "from epoch 7");
    check("east silent, north ahead, north silent", "to south", "from epoch 7");
}

#[test]
fn an_election_goes_on_by_itself_and_only_data_loss_may_end_it_sooner() {
    let refused = "the cell is electing after east: its voters are being asked already";
    check("electing, east fenced", "", refused);
    check("electing, east fenced", "accepting data loss", "from epoch 7");
}

#[test]
fn an_older_record_is_only_passed_over_by_force() {
    let refused = "etcd has gone back to an older record of the cell, which cannot be decided by";
    check("east silent, north knows epoch 9", "", refused);
    check("east silent, north knows epoch 9", "accepting data loss", "from epoch 7");
}

#[test]
fn there_must_be_such_a_cell_and_it_must_have_a_database() {
    check("no cell", "", "there is no cell c1");
    check("no database", "accepting data loss", "the cell's first database is still being made");
}

/// A healthy cell, except for `but`.
#[track_caller]
fn check(but: &str, asked: &str, expected: &str) {
    let spec = Spec::parse(include_str!("../../../../regions.yaml")).unwrap();
    let policy = Policy::new(&spec, &"north".parse().unwrap());
    let but: Vec<&str> = but.split(", ").collect();
    let now = Instant::now();
    let state = state(&but, now);
    let later = if but.contains(&"lease over") { now + policy.lease.patience } else { now };
    let words: Vec<&str> = asked.split(' ').collect();
    let to = words.iter().position(|word| *word == "to").map(|at| words[at + 1].parse().unwrap());
    let accept_data_loss = words.contains(&"accepting");
    let asked = Asked { cell: "c1".parse().unwrap(), to, accept_data_loss };
    let found = match super::check(&state, &policy, &asked, later + Duration::from_millis(1)) {
        Ok(seen) => format!("from epoch {}", seen.routed.activation.epoch),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_forced_failover_is_of_the_election_that_was_looked_at() {
    planned("8 electing", 8, "yes");
    planned("8 electing, 9 electing", 8, "yes");
    planned("8 electing, 9 electing", 9, "yes");
    // Somebody may have served since, or nobody has looked at that yet.
    let stale = |planned, now| {
        format!("it was planned under epoch {planned}, and the cell is in epoch {now}")
    };
    planned("8 electing, 9 electing", 7, &stale(7, 9));
    planned("8 electing, 9 electing", 10, &stale(10, 9));
    planned("8 electing, 9 promoting, 9 steady, 10 electing", 8, &stale(8, 10));
    planned("8 electing, 10 electing", 8, &stale(8, 10));
    planned("8 electing, 9 steady", 8, &stale(8, 9));
    planned("8 electing, 9 electing", 8, &format!("without force: {}", stale(8, 9)));
}

/// Lets a cell go through these epochs, and compares what is said of a plan that was made under one.
#[track_caller]
fn planned(course: &str, epoch: u64, expected: &str) {
    let (mut state, now) = (State::default(), Instant::now());
    let cell: CellId = "c1".parse().unwrap();
    for (revision, step) in (1..).zip(course.split(", ")) {
        let (number, phase) = step.split_once(' ').unwrap();
        let active: RegionId = "north".parse().unwrap();
        let phase = match phase {
            "electing" => Phase::Electing { predecessor: None },
            "promoting" => Phase::Promoting { active },
            _ => Phase::Steady { active },
        };
        let activation = activation(number.parse().unwrap(), phase, &[]);
        let value = RoutedCell { activation, gateways: BTreeMap::new() };
        let cells = [(cell.clone(), Kept::at(revision, value))].into();
        state.saw(Fact::Read(Reading { cells, ..Reading::default() }), now);
    }
    let force = !expected.starts_with("without force: ");
    let asked = Asked { cell, to: None, accept_data_loss: force };
    let found = match still(&state, &asked, Some(Epoch(epoch))) {
        Ok(()) => "yes".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(found, expected.trim_start_matches("without force: "));
}

#[test]
fn what_could_be_lost_is_known_before_anybody_is_asked() {
    foresees(&["east silent"], "north of 2/2 votes, 0 bytes behind");
    foresees(&["east silent", "east ahead"], "north of 2/2 votes, 50 bytes behind");
    foresees(&["east silent", "south ahead"], "south of 2/2 votes, 0 bytes behind");
    // Whoever was active and has stopped has everything by itself.
    foresees(&["east fenced", "north silent", "south silent"], "east of 0/2 votes, 0 bytes behind");
    foresees(
        &["east silent", "north silent", "east ahead"],
        "south of 1/2 votes, 50 bytes behind, strong writes at stake",
    );
    foresees(
        &["east silent", "north silent", "south silent"],
        "nobody of 0/2 votes, strong writes at stake",
    );
}

#[track_caller]
fn foresees(but: &[&str], expected: &str) {
    let now = Instant::now();
    let spec = Spec::parse(include_str!("../../../../regions.yaml")).unwrap();
    let policy = Policy::new(&spec, &"north".parse().unwrap());
    let (state, cell) = (state(but, now), "c1".parse().unwrap());
    let seen = &state.cells()[&cell];
    let Outlook { winner, votes, votes_needed, may_lose_acknowledged, behind_bytes, .. } =
        outlook(&state, &policy, (&cell, seen), None);
    let winner = winner.map_or_else(|| "nobody".to_owned(), |winner| winner.to_string());
    let mut told = format!("{winner} of {votes}/{votes_needed} votes");
    if let Some(bytes) = behind_bytes {
        told = format!("{told}, {bytes} bytes behind");
    }
    if may_lose_acknowledged {
        told = format!("{told}, strong writes at stake");
    }
    assert_eq!(told, expected);
}

fn state(but: &[&str], now: Instant) -> State {
    let mut state = State::default();
    let east: RegionId = "east".parse().unwrap();
    let electing = but.contains(&"electing");
    let phase = if electing {
        Phase::Electing { predecessor: Some(east.clone()) }
    } else {
        Phase::Steady { active: east.clone() }
    };
    let voters: &[&str] =
        if but.contains(&"only north votes") { &["north"] } else { &["north", "south"] };
    let system = (!but.contains(&"no database")).then_some(1);
    let activation = Activation { system, ..activation(7, phase, voters) };
    let gateways = ["east", "north", "south"]
        .map(|region| (region.parse().unwrap(), "127.1.1.1:8000".parse().unwrap()));
    let value = RoutedCell { activation, gateways: gateways.into() };
    let mut reading = Reading::default();
    if !but.contains(&"no cell") {
        reading.cells.insert("c1".parse().unwrap(), Kept::at(1, value));
        let lease = Lease { holder: east, epoch: Epoch(7), sequence: 1 };
        reading.leases.insert("c1".parse().unwrap(), Kept::at(2, lease));
    }
    state.saw(Fact::Read(reading), now);
    for region in ["east", "north", "south"] {
        let site: SiteId = format!("c1@{region}").parse().unwrap();
        state.saw(Fact::Probed { site: site.clone(), answer: Some(report(region, but)) }, now);
        if but.contains(&format!("{region} silent").as_str()) {
            state.saw(Fact::Probed { site: site.clone(), answer: None }, now);
            state.saw(Fact::Probed { site, answer: None }, now);
        }
    }
    state
}

fn activation(epoch: u64, phase: Phase, voters: &[&str]) -> Activation {
    Activation {
        epoch: Epoch(epoch),
        phase,
        voters: voters.iter().map(|region| region.parse().unwrap()).collect(),
        retired: [].into(),
        acks: 1,
        system: Some(1),
        elected_at: None,
        cause: None,
        reason: String::new(),
    }
}

fn report(region: &str, but: &[&str]) -> SiteReport {
    let is = |what: &str| but.contains(&format!("{region} {what}").as_str());
    let tenure = match region {
        "east" if is("fenced") => TenureName::Fenced,
        "east" => TenureName::Serving,
        _ => TenureName::Standby,
    };
    SiteReport {
        sequence: 1,
        tenure,
        epoch: if is("knows epoch 9") { 9 } else { 7 },
        postgres: "standby".to_owned(),
        lsn: if is("ahead") { 1050 } else { 1000 },
        timeline: 1,
        lag_bytes: BTreeMap::new(),
        flush: None,
        room: None,
        services: BTreeMap::new(),
        at_risk: false,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}
