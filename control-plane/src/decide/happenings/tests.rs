use std::time::Duration;

use topology::Spec;
use topology::snapshot::RoutedCell;
use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;

use super::*;
use crate::decide::{Fact, first_start};
use crate::store::{Kept, Lease, Reading};

#[test]
fn a_take_over_is_told_step_by_step() {
    check(
        "0 epoch 7 steady east, lease 2
         1 epoch 7 steady east, lease 3
         2 epoch 7 steady east, lease 3
         3 epoch 7 steady east, lease 3
         4 epoch 8 electing
         5 epoch 9 promoting south
         6 epoch 9 steady south, lease 9",
        "3 lease-lost c1 east epoch 7
         4 electing c1 - epoch 8
         5 promoting c1 south epoch 9
         6 steady c1 south epoch 9",
    );
}

#[test]
fn a_lease_that_stays_silent_is_told_once() {
    check(
        "0 epoch 7 steady east, lease 2
         1 epoch 7 steady east, lease 2
         2 epoch 7 steady east, lease 2
         3 epoch 7 steady east, lease 2",
        "2 lease-lost c1 east epoch 7",
    );
}

#[test]
fn a_lease_that_could_not_be_renewed_is_not_lost() {
    check(
        "0 epoch 7 steady east, lease 2
         1 no answer
         3 epoch 7 steady east, lease 2
         4 epoch 7 steady east, lease 3",
        "",
    );
}

#[test]
fn a_planned_move_is_told() {
    check(
        "0 epoch 7 steady east, lease 2
         1 epoch 8 switching east south, lease 2
         2 epoch 8 switching east south, lease 2
         3 epoch 8 switching east south, lease 2
         4 epoch 9 promoting south",
        "1 switching c1 east epoch 8
         4 promoting c1 south epoch 9",
    );
}

#[test]
fn a_site_that_stops_answering_and_comes_back_is_told() {
    check(
        "0 epoch 7 steady east, lease 2
         1 north answers
         2 north is silent
         3 north is silent
         4 north is silent
         5 north answers",
        "1 site-up c1 north epoch 7
         3 site-down c1 north epoch 7
         5 site-up c1 north epoch 7",
    );
}

#[test]
fn a_site_that_was_never_heard_is_not_down() {
    check(
        "0 epoch 7 steady east, lease 2
         1 north is silent
         2 north is silent",
        "",
    );
}

#[test]
fn voters_that_come_and_go_under_an_epoch_are_told() {
    check(
        "0 epoch 7 steady east, lease 2, voters north south
         1 epoch 7 steady east, lease 3, voters north
         2 epoch 7 steady east, lease 4, voters north
         3 epoch 7 steady east, lease 5, voters north south",
        "1 voters c1 east epoch 7
         3 voters c1 east epoch 7",
    );
}

#[test]
fn a_cell_at_risk_is_told_and_when_it_is_over() {
    check(
        "0 epoch 7 steady east, lease 2
         1 east is at risk
         2 east is at risk
         3 east answers",
        "1 at-risk c1 east epoch 7
         1 site-up c1 east epoch 7
         3 at-risk-over c1 east epoch 7",
    );
}

#[test]
fn a_cell_that_is_left_as_it_is_is_told_once_with_what_a_person_can_do() {
    check(
        "0 epoch 7 steady east, lease 2
         1 c1 is frozen
         2 c1 is frozen
         3 epoch 9 promoting south",
        "1 frozen c1 east epoch 7
         3 promoting c1 south epoch 9",
    );
    assert!(way_out(&"c1".parse().unwrap()).contains("POST /v1/cells/c1/failover"));
}

/// Lets each line happen at its second, and compares what is told: by looking at all cells, and by
/// looking only at those that each fact is about.
#[track_caller]
fn check(script: &str, expected: &str) {
    let spec = Spec::parse(include_str!("../../../../regions.yaml")).unwrap();
    let policy = Policy::new(&spec, &"north".parse().unwrap());
    let start = Instant::now();
    let mut state = State::default();
    let (mut before, mut kept): (Option<Sight>, Option<Sight>) = (None, None);
    let (mut told, mut told_again) = (Vec::new(), Vec::new());
    for line in script.lines().map(str::trim) {
        let (second, what) = line.split_once(' ').unwrap();
        let now = start + Duration::from_secs(second.parse().unwrap());
        let fact = fact(&spec, what);
        let about = fact.cell().cloned();
        state.saw(fact, now);
        let show = |one: &Happening| format!("{second} {}", show(one));
        let sight = Sight::of(&state, &policy, now);
        match (about, &mut kept) {
            (Some(cell), Some(kept)) => {
                told_again.extend(kept.look_again(&cell, &state, &policy, now).iter().map(show));
            }
            (_, kept) => {
                let news = kept.as_ref().map(|kept| sight.since(kept)).unwrap_or_default();
                told_again.extend(news.iter().map(show));
                *kept = Some(sight.clone());
            }
        }
        if let Some(before) = &before {
            told.extend(sight.since(before).iter().map(show));
        }
        before = Some(sight);
    }
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(told, expected);
    assert_eq!(told_again, expected, "looking only at the cell that the fact is about");
}

fn show(happening: &Happening) -> String {
    let Happening { kind, cell, region, epoch, .. } = happening;
    let region = region.as_ref().map_or("-", RegionId::as_str);
    format!("{} {cell} {region} epoch {epoch}", kind.name())
}

fn fact(spec: &Spec, what: &str) -> Fact {
    let words: Vec<&str> = what.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["no", "answer"] => Fact::ReadFailed,
        [region, "is", "at", "risk"] => {
            probed(region, Some(SiteReport { at_risk: true, ..report() }))
        }
        [cell, "is", "frozen"] => {
            Fact::Frozen { cell: cell.parse().unwrap(), why: "too few votes".to_owned() }
        }
        [region, "answers"] => probed(region, Some(report())),
        [region, "is", "silent"] => probed(region, None),
        ["epoch", epoch, phase @ ..] => Fact::Read(reading(spec, epoch.parse().unwrap(), phase)),
        other => panic!("{other:?} cannot happen"),
    }
}

fn probed(region: &str, answer: Option<SiteReport>) -> Fact {
    Fact::Probed { site: format!("c1@{region}").parse().unwrap(), answer }
}

fn reading(spec: &Spec, epoch: u64, words: &[&str]) -> Reading {
    let region = |index: usize| words[index].parse::<RegionId>().unwrap();
    let phase = match words[0] {
        "steady" => Phase::Steady { active: region(1) },
        "promoting" => Phase::Promoting { active: region(1) },
        "switching" => Phase::Switching { active: region(1), target: region(2) },
        "electing" => Phase::Electing { predecessor: None },
        other => panic!("{other} is no phase"),
    };
    let mut routed: RoutedCell = first_start::cell(spec, &spec.cells[0]);
    routed.activation.epoch = Epoch(epoch);
    let mut reading = Reading::default();
    let lease = words.iter().position(|word| *word == "lease").map(|at| words[at + 1]);
    if let (Some(revision), Phase::Steady { active } | Phase::Switching { active, .. }) =
        (lease, &phase)
    {
        let lease = Lease { holder: active.clone(), epoch: Epoch(epoch), sequence: 1 };
        let kept = Kept::at(revision.parse().unwrap(), lease);
        reading.leases.insert("c1".parse().unwrap(), kept);
    }
    routed.activation.phase = phase;
    if let Some(at) = words.iter().position(|word| *word == "voters") {
        routed.activation.voters =
            words[at + 1..].iter().map(|region| region.parse().unwrap()).collect();
    }
    // Every phase of an epoch is a later write, and so is every change of the voters under it.
    let later = u64::from(words[0] != "promoting");
    let renewed: u64 = lease.map_or(0, |revision| revision.parse().unwrap());
    let kept = Kept::at(epoch * 100 + later * 10 + renewed, routed);
    reading.cells.insert("c1".parse().unwrap(), kept);
    reading
}

fn report() -> SiteReport {
    SiteReport {
        sequence: 1,
        tenure: TenureName::Standby,
        epoch: 7,
        postgres: "standby".to_owned(),
        lsn: 1,
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
