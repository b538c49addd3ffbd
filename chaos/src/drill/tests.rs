use std::time::Duration;

use super::catalogue::DRILLS;
use super::*;

fn findings(text: &str) -> Vec<String> {
    Drill::parse("test", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_region_drill_claims_what_the_design_promises() {
    let drill = Drill::parse("region-loss", DRILLS[0].1).unwrap();
    assert_eq!(drill.action.fault, Fault::RegionKill { region: Choice::Auto });
    assert_eq!(drill.limits[&Measure::Recover99], Value::Time(Duration::from_secs(5)));
    assert_eq!(drill.goals[&Measure::Recover99], Value::Time(Duration::from_secs(3)));
    assert_eq!(drill.limits[&Measure::AckedStrongLost], Value::Count(0));
    assert_eq!(drill.checks.len(), 5);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_place() {
    let text = "\
title: a drill
colour: red
steady-state-hypothesis: {title: fine, probes: []}
method:
  - type: action
    name: break
    provider: {type: fault, kind: net.melt, target: {}, ttl: 90}
    pauses: {before: 6, after: 12s}
limits: {recover-99: 5, lost: 0}
checks: [no-lost-ack, no-bugs]
load: {rate: 0}
";
    assert_eq!(
        findings(text),
        [
            "2: colour: unknown key; expected one of version, title, description, tags, \
             steady-state-hypothesis, method, rollbacks, load, limits, goals, checks, \
             stop-conditions, expect, scope, seed, validity",
            "7: method[0].provider.kind: expected process.kill, site.kill, region.kill, \
             switchover, found \"net.melt\"",
            "7: method[0].provider.ttl: expected a duration such as 500ms, 6s or 5m, found \"90\"",
            "8: method[0].pauses.before: expected a duration such as 500ms, 6s or 5m, found \"6\"",
            "9: limits.lost: unknown key; expected one of recover-99, recover-all-users, \
             first-success, detect, promote, publish, longest-hold, failed, other-cells-failed, \
             failed-after-heal, acked-strong-lost, acked-weak-lost, redundancy-restored",
            "9: limits.recover-99: expected a duration such as 500ms, 6s or 5m, found \"5\"",
            "10: checks[1]: expected no-lost-ack, exactly-once, single-writer, session-order, \
             blast-radius, found \"no-bugs\"",
            "11: load.rate: out of range: 1 to 5000 requests a second",
        ]
    );
}

#[test]
fn what_is_missing_is_told_too() {
    assert_eq!(
        findings("title: a drill\n"),
        ["1: drill: steady-state-hypothesis is missing", "1: drill: method is missing"]
    );
}

#[test]
fn a_fault_that_ends_while_it_is_observed_is_refused() {
    let text = DRILLS[0].1.replace("ttl: 60s", "ttl: 12s");
    assert_eq!(
        findings(&text),
        ["20: method[0].provider.ttl: must be longer than pauses.after, or it ends observed"]
    );
}
