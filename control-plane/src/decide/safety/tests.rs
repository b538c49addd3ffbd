use topology::Epoch;

use super::*;
use crate::decide::safety::world::World;

#[test]
fn a_ready_target_breaks_nothing() {
    check("", "c1 to south", "");
}

#[test]
fn each_rule_is_named() {
    check("frozen", "c1 to south", "frozen");
    check("south is drained", "c1 to south", "region-drained");
    check("c1@south lags", "c1 to south", "no-ready-site");
    check("c2 is in south, c3 is in south", "c1 to south", "no-headroom");
}

#[test]
fn all_that_is_broken_is_told() {
    check(
        "frozen, south is drained, c1@south lags",
        "c1 to south",
        "frozen region-drained no-ready-site",
    );
}

#[test]
fn what_is_drained_elsewhere_stops_no_single_move() {
    check("north is drained", "c1 to south", "");
}

#[test]
fn only_what_is_a_matter_of_judgement_may_be_overridden() {
    let may: Vec<&str> =
        Rule::ALL.into_iter().filter(|rule| rule.may_be_overridden()).map(Rule::code).collect();
    let expected =
        ["outside-change-window", "second-region", "no-headroom", "operation-not-understood"];
    assert_eq!(may, expected);
}

#[track_caller]
fn check(said: &str, planned: &str, expected: &str) {
    let mut world = World::new("east north north", 3);
    world.say(said);
    let (cell, to) = planned.split_once(" to ").unwrap();
    let (cell, to) = (cell.parse().unwrap(), to.parse().unwrap());
    let moves = [Move { cell, from: "east".parse().unwrap(), to, epoch: Epoch(1) }];
    let now = Instant::now();
    let proposal = Proposal { drains: None, undrains: None, moves: &moves, going: &[] };
    let broken = super::check(proposal, &world.state(now), &world.spec, now);
    let rules: Vec<&str> = broken.iter().map(|broken| broken.rule.code()).collect();
    assert_eq!(rules.join(" "), expected);
}
