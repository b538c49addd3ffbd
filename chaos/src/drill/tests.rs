use std::time::Duration;

use super::catalogue::DRILLS;
use super::*;

fn findings(text: &str) -> Vec<String> {
    Drill::parse("test", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_region_drill_claims_what_the_design_promises() {
    let drill = Drill::parse("region-loss", DRILLS[0].1).unwrap();
    assert_eq!(
        drill.actions[0].fault,
        Fault::RegionKill { region: Choice::Auto, death: Death::Crash }
    );
    assert_eq!(drill.limits[&Measure::Recover99], Value::Time(Duration::from_secs(5)));
    assert_eq!(drill.goals[&Measure::Recover99], Value::Time(Duration::from_secs(3)));
    assert_eq!(drill.limits[&Measure::AckedStrongLost], Value::Count(0));
    assert_eq!(drill.checks.len(), 12);
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
             steady-state-hypothesis, method, repeat, rollbacks, load, limits, goals, checks, \
             allow-logs, stop-conditions, expect, scope, seed, validity",
            "7: method[0].provider.kind: expected process.kill, process.freeze, process.pause, \
             site.kill, site.freeze, site.slow, postgres.stall, replication.stall, region.kill, \
             regions.kill, switchover, \
             failover, evacuate, restore, etcd.kill, etcd.leader-kill, etcd.leader-freeze, etcd.leader-isolate, \
             etcd.majority-loss, etcd.snapshot, etcd.wipe, control-plane.kill, control-plane.blind, router.kill, router.upgrade, router.stale, cpu.starve, clock.offset, disk.full, \
             disk.slow, net.partition, \
             net.one-way-connect, \
             net.latency, net.loss, net.rate, net.cut-established, net.flap, net.stream, found \"net.melt\"",
            "7: method[0].provider.ttl: expected a duration such as 500ms, 6s or 5m, found \"90\"",
            "8: method[0].pauses.before: expected a duration such as 500ms, 6s or 5m, found \"6\"",
            "9: limits.lost: unknown key; expected one of recover-99, recover-all-users, \
             first-success, first-strong-ack, detect, vote, promote, publish, longest-hold, \
             added-p99, failed, failed-not-under-way, refused-as-expected, other-cells-failed, failed-after-heal, acked-strong-lost, \
             acked-weak-lost, weak-loss-seconds, streams-reopened, longest-stream-pause, \
             unheard-after-loss, moves, epochs-changed, rebuilt, redundancy-restored, \
             recover-after-heal, restored-in, tables-differing, archive-behind, \
             etcd-led-again",
            "9: limits.recover-99: expected a duration such as 500ms, 6s or 5m, found \"5\"",
            "10: checks[1]: expected no-lost-ack, exactly-once, single-writer, no-late-ack, \
             no-stale-strong-read, session-order, stream-order, blast-radius, \
             lost-writes-reported, observer-alone, no-forbidden-ack, clean-refusals, ledger, \
             convergence, log-patterns, found \"no-bugs\"",
            "11: load.rate: out of range: 1 to 5000 requests a second",
        ]
    );
}

#[test]
fn a_drill_may_ask_for_a_cell_that_control_planes_would_move() {
    let text = |name: &str| DRILLS.iter().find(|(known, _)| *known == name).unwrap().1;
    let asked = |text| {
        let drill = Drill::parse("test", text).unwrap();
        drill.steady_state.iter().any(|probe| matches!(probe, Probe::Settled { .. }))
    };
    assert!(asked(text("gray-site")) && asked(text("slow-disk")));
    assert!(!asked(text("cell-loss")));
    let other = text("gray-site").replace("measure: settled", "measure: unmoved");
    assert_eq!(
        findings(&other),
        ["14: steady-state-hypothesis.probes[1].provider.measure: expected redundant or settled, \
          found \"unmoved\""]
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
fn what_logs_may_say_is_said_by_the_drill_that_leads_to_it() {
    let full = text("disk-full");
    let drill = Drill::parse("disk-full", full).unwrap();
    assert!(drill.allow_logs.contains(&"No space left on device".to_owned()));
    let vague = full.replace("\"No space left on device\"", "PANIC");
    let expected = "expected a part of a line of a log, of 8 characters at least, found \"PANIC\"";
    let found = findings(&vague);
    assert!(found.len() == 1 && found[0].ends_with(expected), "{found:?}");
    let unasked = findings(&full.replace(", log-patterns]", "]"));
    let expected = "allow-logs: of the check log-patterns: name that in `checks`, too";
    assert!(unasked.len() == 1 && unasked[0].ends_with(expected), "{unasked:?}");
}

#[test]
fn a_fault_that_ends_while_it_is_observed_is_refused() {
    let text = DRILLS[0].1.replace("ttl: 60s", "ttl: 12s");
    assert_eq!(
        findings(&text),
        ["20: method[0].provider.ttl: must be longer than pauses.after, or it ends observed"]
    );
}

#[test]
fn a_method_may_have_several_actions_and_only_the_last_is_observed() {
    let drill = Drill::parse("home-and-voter-loss", text("home-and-voter-loss")).unwrap();
    let kinds: Vec<&str> = drill.actions.iter().map(|action| action.fault.kind()).collect();
    assert_eq!(kinds, ["site.kill", "site.kill"]);
    let times = drill.actions.iter().map(|action| (action.before, action.after));
    let seconds = |seconds| Duration::from_secs(seconds);
    assert_eq!(times.collect::<Vec<_>>(), [(seconds(6), seconds(0)), (seconds(0), seconds(15))]);
    assert_eq!(drill.after_heal, seconds(10));
}

#[test]
fn what_is_done_in_the_middle_of_a_move_says_which_event_it_waits_for() {
    let drill = Drill::parse("test", text("failover-during-failover")).unwrap();
    let when = When { event: "promoting".to_owned(), within: Duration::from_secs(10) };
    assert_eq!(drill.actions[0].when, None);
    assert_eq!(drill.actions[1].when, Some(when));
    let wrong = text("failover-during-failover").replace("event: promoting", "event: melting");
    let told = "expected lease-lost, electing, promoting, steady, found \"melting\"";
    assert!(findings(&wrong)[0].ends_with(told));
    let first = text("cell-loss")
        .replace("name: kill-site", "name: a\n    when: {event: steady, within: 1s}");
    assert_eq!(
        findings(&first),
        [
            "16: method[0].when: of a later action only, and of none that is repeated or joins another"
        ]
    );
}

#[test]
fn control_planes_die_only_once_a_successor_is_promoted() {
    let drill = Drill::parse("failover-unpublished", text("failover-unpublished")).unwrap();
    let [loss, death] = &drill.actions[..] else { panic!("{:?}", drill.actions) };
    assert!(matches!(loss.fault, Fault::SiteKill { .. }) && loss.after.is_zero());
    assert_eq!(death.when.as_ref().map(|when| when.event.as_str()), Some("promoting"));
    assert_eq!(death.fault, Fault::ControlPlaneKill { region: None });
}

#[test]
fn every_component_is_restarted_and_nothing_moves_but_by_plan() {
    let drill = Drill::parse("restart-each", text("restart-each")).unwrap();
    let kinds: Vec<&str> = drill.actions.iter().map(|action| action.fault.kind()).collect();
    let services = ["process.kill"; 4];
    let others = ["switchover", "etcd.leader-kill", "router.kill", "control-plane.kill"];
    assert_eq!(kinds, [services, others].concat());
    assert_eq!(drill.limits[&Measure::Moves], Value::Count(1));
    // A planned move is one that hands over and one that serves.
    assert_eq!(drill.limits[&Measure::EpochsChanged], Value::Count(2));
}

#[test]
fn a_soak_claims_that_no_epoch_changes_and_may_be_made_shorter() {
    let mut drill = Drill::parse("soak", text("soak")).unwrap();
    assert_eq!(drill.limits[&Measure::EpochsChanged], Value::Count(0));
    let minutes = Duration::from_mins;
    assert_eq!(drill.repeat.as_ref().map(|repeat| repeat.lasting), Some(minutes(30)));
    assert_eq!(drill.last(minutes(3)), Ok(()));
    assert_eq!(drill.repeat.as_ref().map(|repeat| repeat.lasting), Some(minutes(3)));
    assert_eq!(drill.last(minutes(91)), Err("at most 90 minutes".to_owned()));
}

#[test]
fn a_fault_that_lasts_as_long_as_asked_is_not_forgotten_before() {
    let mut drill = Drill::parse("etcd-loss", text("etcd-loss")).unwrap();
    assert_eq!(drill.last(Duration::from_mins(14)), Ok(()));
    assert_eq!(drill.actions[0].after, Duration::from_mins(14));
    assert_eq!(drill.actions[0].ttl, Duration::from_mins(15));
    assert_eq!(drill.last(Duration::from_mins(15)), Err("at most 14 minutes".to_owned()));
}

#[test]
fn a_pause_says_how_long_it_may_be_and_a_kill_does_not() {
    let longer = text("soak").replace("[300ms, 1000ms]", "[300ms, 11s]");
    let told = "expected two durations up to 10s, the shorter first, such as [300ms, 1s]";
    let found = findings(&longer);
    assert!(found.len() == 3 && found.iter().all(|finding| finding.ends_with(told)), "{found:?}");
    let kill = text("cell-loss").replace("ttl: 60s", "ttl: 60s\n      for: [1s, 2s]");
    assert_eq!(
        findings(&kill),
        ["21: method[0].provider.for: of pauses and stalls only; others last until healed"]
    );
}

#[test]
fn a_stall_of_replication_is_of_every_standby_unless_it_says_one() {
    let stalled = |text: &str| {
        let drill = Drill::parse("test", text).unwrap();
        let Fault::ReplicationStall { standbys, .. } = drill.actions[0].fault else {
            panic!("{:?}", drill.actions[0])
        };
        standbys
    };
    let target = "target: {cell: auto, site: active}\n      for";
    let of = |standbys: &str| {
        let to = format!("target: {{cell: auto, site: active, standbys: {standbys}}}\n      for");
        text("weak-loss").replace(target, &to)
    };
    assert_eq!(stalled(text("weak-loss")), Standbys::All);
    assert_eq!(stalled(&of("one")), Standbys::One);
    let told = "method[0].provider.target.standbys: expected all or one, found \"two\"";
    assert!(findings(&of("two"))[0].ends_with(told));
}

fn text(name: &str) -> &'static str {
    DRILLS.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn an_action_in_the_background_is_done_with_the_next_one() {
    let text = text("site-and-leader-loss");
    let drill = Drill::parse("test", text).unwrap();
    let together: Vec<bool> = drill.actions.iter().map(|action| action.is_together).collect();
    assert_eq!(together, [true, false]);
    let last = text.replace("name: kill-leader", "name: kill-leader\n    background: true");
    assert_eq!(
        findings(&last),
        [
            "26: method[1].background: of none that is the last, or repeated",
            "32: method[1].pauses: after is of the last of those that are done together",
        ]
    );
}

#[test]
fn most_of_etcd_may_be_killed_or_stand_still_and_nothing_else() {
    let loss = text("etcd-majority-loss");
    let fault = |name| Drill::parse("test", text(name)).unwrap().actions[0].fault.clone();
    assert_eq!(fault("etcd-majority-loss"), Fault::EtcdMajorityLoss { mode: Outage::Kill });
    assert_eq!(fault("etcd-majority-freeze"), Fault::EtcdMajorityLoss { mode: Outage::Freeze });
    assert_eq!(fault("etcd-leader-isolated"), Fault::EtcdLeaderIsolate);
    let wrong = loss.replace("{mode: kill}", "{mode: melt, member: all}");
    assert_eq!(
        findings(&wrong),
        [
            "19: method[0].provider.target.member: unknown key; expected one of mode",
            "19: method[0].provider.target.mode: expected kill or freeze, found \"melt\"",
        ]
    );
}

#[test]
fn a_cell_is_restored_only_where_there_are_backups() {
    let drill = Drill::parse("test", text("restore-from-backup")).unwrap();
    assert_eq!(drill.actions[0].fault, Fault::Restore { cell: Choice::Auto });
    assert_eq!(drill.limits[&Measure::TablesDiffering], Value::Count(0));
    let offers = Offers { wan: false, clocks: false, snapshots: false, backups: false };
    assert_eq!(drill.lacks(offers), Some(restore::WITHOUT));
    assert_eq!(drill.lacks(Offers { backups: true, ..offers }), None);
}

#[test]
fn all_of_etcd_is_saved_before_it_is_wiped_and_nobody_says_which() {
    let wipe = text("etcd-wipe");
    let drill = Drill::parse("test", wipe).unwrap();
    let kinds: Vec<&str> = drill.actions.iter().map(|action| action.fault.kind()).collect();
    assert_eq!(kinds, ["etcd.snapshot", "switchover", "etcd.wipe"]);
    let offers = Offers { wan: true, clocks: true, snapshots: false, backups: false };
    assert_eq!(drill.lacks(offers), Some(tools::WITHOUT));
    assert_eq!(drill.lacks(Offers { snapshots: true, ..offers }), None);
    let aimed = wipe.replace("kind: etcd.wipe,", "kind: etcd.wipe, target: {member: all},");
    assert_eq!(
        findings(&aimed),
        ["29: method[2].provider.target: all of etcd is meant: leave it out"]
    );
}

#[test]
fn where_writes_are_to_be_refused_an_action_says_so_and_it_is_looked_at_how() {
    let whole = text("two-regions-die");
    let drill = Drill::parse("test", whole).unwrap();
    assert_eq!(drill.actions[0].expect, Expect::RefuseWrites);
    let fault = Fault::RegionsKill { left: Choice::Auto, death: Death::Silent };
    assert_eq!(drill.actions[0].fault, fault);
    let unlooked = whole.replace("no-forbidden-ack, clean-refusals", "single-writer");
    assert_eq!(
        findings(&unlooked),
        [
            "30: checks: no-forbidden-ack is missing: an action says expect: refuse-writes",
            "30: checks: clean-refusals is missing: an action says expect: refuse-writes",
        ]
    );
    let served = whole.replace("expect: refuse-writes", "expect: serve");
    let none = "no action says expect: refuse-writes";
    assert_eq!(
        findings(&served),
        ["no-forbidden-ack", "clean-refusals"].map(|check| format!("30: checks: {check}: {none}"))
    );
    let wrong = whole.replace("expect: refuse-writes", "expect: refuse-reads");
    assert_eq!(
        findings(&wrong)[0],
        "18: method[0].expect: expected serve or refuse-writes, found \"refuse-reads\""
    );
    let of_all = format!("{whole}expect: refuse-writes\n");
    assert!(findings(&of_all)[0].ends_with(
        "expect: expected serve; refuse-writes is said of an action, found \"refuse-writes\""
    ));
}

#[test]
fn a_stream_is_of_one_user_and_needs_messages_and_its_check_needs_streams() {
    let text = text("cell-loss");
    assert_eq!(Drill::parse("test", text).unwrap().load.streams, 15);
    let with = |from: &str, to: &str| findings(&text.replace(from, to));
    let beyond = "23: load.streams: out of range: 0 to 90, one of a user at most";
    assert_eq!(with("streams: 15", "streams: 91"), [beyond]);
    let many = "users: 5000, streams: 201";
    let beyond = "23: load.streams: out of range: 0 to 200, one of a user at most";
    assert_eq!(with("users: 90, streams: 15", many), [beyond]);
    let silent = "23: load.streams: nothing would be told in them: `mix` has no message";
    assert_eq!(with("message: 4", "message: 0"), [silent]);
    let none =
        "26: checks: stream-order is about streams: say in `load: streams` how many there are";
    assert_eq!(with(" streams: 15,", ""), [none]);
}

#[test]
fn a_line_that_flaps_says_between_what_and_for_how_long() {
    let whole = text("flapping-line");
    let seconds = Duration::from_secs;
    let flap = Flap { shortest: seconds(2), longest: seconds(7), lasting: seconds(120) };
    let Fault::Net { effect, .. } = Drill::parse("test", whole).unwrap().actions[0].fault.clone()
    else {
        panic!("no fault of the net")
    };
    assert_eq!(effect, Effect::Flap(flap));
    let wrong =
        whole.replace("{between: [2s, 7s], lasting: 120s}", "{between: [7s, 2s], lasting: 11m}");
    assert_eq!(
        findings(&wrong),
        [
            "20: method[0].provider.arguments.between: expected two durations from 1500ms on, the \
             shorter first, such as [2s, 7s]",
            "20: method[0].provider.arguments.lasting: expected more than nothing and at most 10m",
        ]
    );
    let cut_short = whole.replace("between: [2s, 7s]", "between: [2s, 61s]");
    assert_eq!(
        findings(&cut_short),
        ["21: method[0].provider.ttl: must be as long as any cut (`between`), or it ends in one"]
    );
}

#[test]
fn what_a_kind_of_fault_does_not_know_is_told_and_not_passed_over() {
    let with = |name: &str, word: &str| {
        let kind = if name == "etcd-leader-kill" { "etcd.leader-kill" } else { "site.kill" };
        let more = format!("kind: {kind}\n      {word}");
        findings(&text(name).replace(&format!("kind: {kind}"), &more))
    };
    let told = |found: Vec<String>, expected: &str| {
        assert!(found.len() == 1 && found[0].ends_with(expected), "{found:?}");
    };
    told(
        with("etcd-leader-kill", "for: [1s, 2s]"),
        "of pauses and stalls only; others last until healed",
    );
    told(with("cell-loss", "share: 10%"), "provider.share: site.kill has none: leave it out");
    let arguments = "arguments: {delay: 1s}";
    told(with("cell-loss", arguments), "provider.arguments: site.kill has none: leave it out");
}
