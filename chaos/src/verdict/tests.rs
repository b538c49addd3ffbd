use std::time::Duration;

use super::*;
use crate::course::DatabaseRead;
use crate::drill::catalogue::DRILLS;
use crate::fault::Injection;
use crate::history::fixture::{ms, refused, ticket, users};
use crate::history::{Event, Operation};
use crate::metrics::metrics;

fn drill() -> Drill {
    let mut drill = Drill::parse("region-loss", DRILLS[0].1).unwrap();
    drill.checks = vec![Check::SingleWriter, Check::BlastRadius];
    drill.limits.remove(&Measure::AckedStrongLost);
    drill
}

/// A hundred requests before a fault at 10 s and many after it, half of them to each cell; those to
/// cell c1 fail for two seconds.
fn course() -> Course {
    let operations = (0..400u32)
        .map(|number| {
            let due = u64::from(number) * 50;
            let user = (number % 2) as usize;
            if user == 0 && (10_000..12_000).contains(&due) {
                refused(number, due, due + 1)
            } else {
                let mut answered = ticket(number, due, due + 5);
                answered.served.as_mut().unwrap().cell = users()[user].cell.clone();
                Operation { user, ..answered }
            }
        })
        .collect();
    let injection = Injection {
        begun: ms(10_000),
        ended: ms(10_010),
        cells: [("c1".parse().unwrap(), None)].into(),
        ..Injection::default()
    };
    Course {
        users: users(),
        operations,
        injections: vec![injection],
        healed: Some(ms(18_000)),
        redundant: Some(ms(19_000)),
        ..Course::default()
    }
}

fn judged(drill: &Drill, course: &Course, goals: Goals) -> Verdict {
    verdict(drill, course, &metrics(course), goals)
}

#[track_caller]
fn exit(change: impl FnOnce(&mut Course), expected: Exit) {
    let mut course = course();
    change(&mut course);
    let verdict = judged(&drill(), &course, Goals::Warn);
    assert_eq!(verdict.exit, expected, "{:?}", verdict.reasons);
}

#[test]
fn a_missed_goal_is_a_warning_unless_goals_are_strict() {
    let verdict = judged(&drill(), &course(), Goals::Warn);
    assert_eq!((verdict.exit, verdict.reasons), (Exit::Pass, Vec::new()));
    assert_eq!(verdict.warnings, ["failed is 20, the goal is 0"]);
    assert_eq!(judged(&drill(), &course(), Goals::Strict).exit, Exit::Availability);
}

#[test]
fn what_is_more_than_a_drill_may_break_is_refused() {
    let course = Course {
        refused: Some("region east is a region; scope.max-regions is 0".to_owned()),
        injections: Vec::new(),
        ..course()
    };
    let verdict = judged(&drill(), &course, Goals::Warn);
    assert_eq!((verdict.exit, verdict.exit.code()), (Exit::Refused, 8));
    assert_eq!(verdict.reasons, ["region east is a region; scope.max-regions is 0"]);
}

#[test]
fn an_exceeded_limit_fails() {
    let mut drill = drill();
    drill.limits.insert(Measure::Recover99, Value::Time(Duration::from_secs(1)));
    let verdict = judged(&drill, &course(), Goals::Warn);
    assert_eq!(verdict.exit, Exit::Availability);
    assert_eq!(verdict.reasons, ["recover-99 is 2.00 s, the limit is 1.00 s"]);
}

#[test]
fn a_limit_of_what_a_control_plane_does_fails_where_it_did_nothing() {
    let mut drill = drill();
    drill.goals.insert(Measure::Promote, Value::Time(Duration::from_secs(1)));
    assert_eq!(judged(&drill, &course(), Goals::Strict).reasons, ["failed is 20, the goal is 0"]);
    drill.limits.insert(Measure::Publish, Value::Time(Duration::from_secs(30)));
    let verdict = judged(&drill, &course(), Goals::Warn);
    assert_eq!(verdict.exit, Exit::Availability);
    assert_eq!(verdict.reasons, ["publish is never, the limit is 30.00 s"]);
    let mut moved = course();
    moved.events = vec![Event {
        at: ms(31_000),
        name: "steady".to_owned(),
        cell: "c1".parse().unwrap(),
        region: None,
        epoch: topology::Epoch(3),
        reason: String::new(),
        evidence: String::new(),
    }];
    assert_eq!(judged(&drill, &moved, Goals::Warn).exit, Exit::Pass);
}

#[test]
fn another_cell_that_fails_fails_the_drill() {
    exit(
        |course| course.operations[301] = Operation { user: 1, ..refused(301, 15_050, 15_051) },
        Exit::Availability,
    );
}

#[test]
fn two_writers_outweigh_everything_but_what_was_left_behind() {
    let two_writers = |course: &mut Course| {
        course.operations[10].served.as_mut().unwrap().region = "south".parse().unwrap();
        course.aborted = Some("stopped by a signal".to_owned());
    };
    exit(two_writers, Exit::Safety);
    exit(
        |course| {
            two_writers(course);
            course.residue = vec!["holds/c1@east.json".to_owned()];
        },
        Exit::Residue,
    );
}

#[test]
fn a_fault_that_is_not_proven_is_no_pass() {
    exit(
        |course| course.unproven = Some("process 7 is still there".to_owned()),
        Exit::Inconclusive,
    );
    // Nor does what it did not lead to speak against a control plane.
    let mut drill = drill();
    drill.limits.insert(Measure::Publish, Value::Time(Duration::from_secs(30)));
    let unproven = Course { unproven: Some("it still runs".to_owned()), ..course() };
    let verdict = judged(&drill, &unproven, Goals::Warn);
    assert_eq!(verdict.exit, Exit::Inconclusive);
    assert_eq!(
        verdict.reasons,
        ["the fault is not proven: it still runs", "publish was not seen, the limit is 30.00 s"]
    );
}

#[test]
fn of_a_fault_that_is_repeated_no_event_is_missed() {
    let mut drill = drill();
    drill.limits = [(Measure::Publish, Value::Time(Duration::from_secs(30)))].into();
    let repeated = Course { is_repeated: true, ..course() };
    let verdict = judged(&drill, &repeated, Goals::Warn);
    assert_eq!(verdict.exit, Exit::Inconclusive);
    assert_eq!(verdict.reasons, ["publish was not seen, the limit is 30.00 s"]);
}

#[test]
fn a_limit_of_what_nobody_measured_is_not_kept() {
    let mut drill = drill();
    drill.limits.insert(Measure::EtcdLedAgain, Value::Time(Duration::from_secs(3)));
    let verdict = judged(&drill, &course(), Goals::Warn);
    assert_eq!(verdict.exit, Exit::Inconclusive);
    assert_eq!(verdict.reasons, ["etcd-led-again was not seen, the limit is 3.00 s"]);
}

#[test]
fn too_little_traffic_is_no_pass() {
    exit(|course| course.operations.retain(|op| op.number % 8 < 2), Exit::Inconclusive);
}

#[test]
fn a_generator_that_lags_is_no_pass() {
    exit(|course| course.lags = vec![ms(80); 10], Exit::Inconclusive);
}

#[test]
fn a_run_that_was_stopped_is_told_as_such_and_not_as_lacking_evidence() {
    exit(
        |course| {
            course.aborted = Some("stopped by a signal".to_owned());
            course.operations.truncate(20);
        },
        Exit::Aborted,
    );
}

#[test]
fn nothing_injected_is_unsteady_and_nothing_else() {
    exit(
        |course| {
            course.injections = Vec::new();
            course.unsteady = vec!["c1 is electing".to_owned()];
        },
        Exit::Unsteady,
    );
}

#[test]
fn a_baseline_that_was_not_answered_is_told_in_both_languages() {
    let mut course = course();
    course.injections = Vec::new();
    for number in 0..100u32 {
        course.operations[number as usize] = refused(number, 0, 1);
    }
    course.unsteady = unsteady(&drill(), &metrics(&course));
    let verdict = judged(&drill(), &course, Goals::Warn);
    let [(english, chinese)] =
        &verdict.reasons.iter().zip(&verdict.reasons_zh).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", verdict.reasons);
    };
    assert!(english.starts_with("steady state "), "{english}");
    assert!(english.contains(": 70.0 % of 400 requests answered"), "{english}");
    assert!(chinese.contains("故障前 400 个请求中 70.0% 得到应答"), "{chinese}");
}

#[test]
fn a_lost_ticket_is_unsafe() {
    let mut drill = drill();
    drill.limits.insert(Measure::AckedStrongLost, Value::Count(0));
    drill.checks = Vec::new();
    let mut course = course();
    let acked: Vec<u32> =
        course.operations.iter().filter(|op| op.is_ok()).map(|op| op.number).collect();
    let seen = acked.iter().map(|number| (*number, crate::course::Seen::There));
    course.final_state.through_router = seen.collect();
    for cell in ["c1", "c2"] {
        let rows = acked.iter().skip(1).map(|number| (*number, 1)).collect();
        let site = format!("{cell}@east").parse().unwrap();
        course.final_state.databases.insert(site, DatabaseRead::Tickets(rows));
    }
    let verdict = judged(&drill, &course, Goals::Warn);
    assert_eq!(verdict.exit, Exit::Safety);
    assert_eq!(verdict.reasons, ["acked-strong-lost is 1, the limit is 0"]);
}
