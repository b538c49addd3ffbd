use std::time::Duration;

use topology::Epoch;

use super::*;
use crate::course::{ConversationRead, Tally};
use crate::fault::Injection;
use crate::history::fixture::{again, message, ms, refused, ticket, users};
use crate::history::{Event, Operation};
use crate::refusals::fixture as refusals;

/// A fault at 1 s on cell c1 that was taken away at 10 s.
fn course(operations: Vec<Operation>) -> Course {
    let injection = Injection {
        kind: "site.kill".to_owned(),
        begun: ms(1000),
        ended: ms(1010),
        cells: [("c1".parse().unwrap(), Some("east".parse().unwrap()))].into(),
        ..Injection::default()
    };
    Course {
        users: users(),
        operations,
        injections: vec![injection],
        healed: Some(ms(10_000)),
        redundant: Some(ms(12_500)),
        ..Course::default()
    }
}

/// One request each 100 ms from 1 s to 10 s: refused before `failed_until`, answered at
/// `served_from` if due before that, and in 5 ms from then on.
fn outage(failed_until: u64, served_from: u64) -> Vec<Operation> {
    (0..90)
        .map(|number| {
            let due = 1000 + u64::from(number) * 100;
            if due < failed_until {
                refused(number, due, due + 1)
            } else {
                ticket(number, due, (due + 5).max(served_from))
            }
        })
        .collect()
}

#[track_caller]
fn check(operations: Vec<Operation>, measure: Measure, expected: Measured) {
    assert_eq!(metrics(&course(operations)).measured[&measure], expected);
}

fn time(millis: u64) -> Measured {
    Measured::Got(Value::Time(ms(millis)))
}

#[test]
fn nothing_noticed_is_recovered_at_once() {
    check(outage(0, 0), Measure::Recover99, time(0));
    check(outage(0, 0), Measure::Failed, Measured::Got(Value::Count(0)));
}

#[test]
fn failed_requests_end_with_the_first_that_is_followed_by_good_ones_only() {
    check(outage(3000, 0), Measure::Recover99, time(2005));
    check(outage(3000, 0), Measure::FirstSuccess, time(2005));
    check(outage(3000, 0), Measure::Failed, Measured::Got(Value::Count(20)));
}

#[test]
fn who_is_refused_as_expected_has_not_failed() {
    let course = refusals::course(vec![
        refused(0, 2000, 2001),
        refusals::refusal(1, 2000, 11_900),
        refusals::refusal(2, 31_000, 40_900),
        Operation { user: 1, ..refusals::refusal(3, 2000, 11_900) },
    ]);
    let found = metrics(&course);
    let count = |measure| found.measured[&measure];
    let some = |count| Measured::Got(Value::Count(count));
    assert_eq!((count(Measure::Failed), count(Measure::RefusedAsExpected)), (some(2), some(1)));
    assert_eq!(
        (count(Measure::OtherCellsFailed), count(Measure::FailedAfterHeal)),
        (some(1), some(1))
    );
    let classes = [("503 hold-timeout".to_owned(), 1), ("refused".to_owned(), 1)].into();
    assert_eq!(found.failed_by_class, classes);
}

#[test]
fn who_fails_after_healing_defers_the_recovery_and_who_failed_before_does_not() {
    // Due from 9 s on, and healed at 10 s.
    let until = |failed_until: u64| {
        let due = (0..50).map(|number| (number, 9000 + u64::from(number) * 100));
        due.map(|(number, due)| {
            if due < failed_until {
                refused(number, due, due + 1)
            } else {
                ticket(number, due, due + 5)
            }
        })
        .collect()
    };
    check(until(10_000), Measure::RecoverAfterHeal, time(0));
    check(until(12_000), Measure::RecoverAfterHeal, time(2005));
    check(until(99_000), Measure::RecoverAfterHeal, Measured::Never);
}

#[test]
fn a_request_under_way_when_the_fault_began_counts() {
    check(vec![refused(0, 990, 1001)], Measure::Failed, Measured::Got(Value::Count(1)));
    check(vec![refused(0, 990, 999)], Measure::Failed, Measured::Got(Value::Count(0)));
}

#[test]
fn held_requests_are_no_recovery_until_somebody_is_served() {
    check(outage(0, 3600), Measure::Recover99, time(2600));
    check(outage(0, 3600), Measure::LongestHold, time(2600));
    let held = metrics(&course(outage(0, 3600))).held;
    assert_eq!((held.count, held.longest), (16, ms(2600)));
}

#[test]
fn one_late_failure_takes_the_recovery_back() {
    let mut operations = outage(3000, 0);
    operations[70] = refused(70, 8000, 8001);
    check(operations, Measure::Recover99, time(7100));
}

#[test]
fn a_failure_at_the_very_end_is_no_recovery() {
    let mut operations = outage(3000, 0);
    operations[89] = refused(89, 9900, 9901);
    check(operations, Measure::Recover99, Measured::Never);
}

#[test]
fn a_user_waits_from_the_first_failure_to_the_next_good_answer() {
    let operations = vec![ticket(0, 1100, 1105), refused(1, 2000, 2001), message(2, 4000, 4005, 1)];
    check(operations, Measure::RecoverAllUsers, time(3005));
}

#[test]
fn a_user_who_is_not_served_again_has_not_recovered() {
    let operations = vec![ticket(0, 1100, 1105), refused(1, 2000, 2001)];
    check(operations, Measure::RecoverAllUsers, Measured::Never);
}

#[test]
fn requests_of_other_cells_count_apart() {
    let mut operations = outage(3000, 0);
    operations.push(Operation { user: 1, ..refused(90, 1500, 1501) });
    check(operations.clone(), Measure::OtherCellsFailed, Measured::Got(Value::Count(1)));
    check(operations, Measure::Failed, Measured::Got(Value::Count(20)));
}

#[test]
fn events_count_from_the_fault_on_and_only_those_of_its_cells() {
    let mut course = course(outage(3000, 0));
    let event = |at, name: &str, cell: &str| Event {
        at: ms(at),
        name: name.to_owned(),
        cell: cell.parse().unwrap(),
        region: None,
        epoch: Epoch(2),
        reason: String::new(),
        evidence: String::new(),
    };
    course.events = vec![
        event(500, "lease-lost", "c1"),
        event(1200, "lease-lost", "c2"),
        event(2900, "electing", "c1"),
        event(3000, "promoting", "c1"),
        event(3400, "steady", "c1"),
    ];
    let measured = metrics(&course).measured;
    assert_eq!(measured[&Measure::Vote], time(100));
    assert_eq!(measured[&Measure::Detect], time(1900));
    assert_eq!(measured[&Measure::Promote], time(2000));
    assert_eq!(measured[&Measure::Publish], time(2400));
    assert_eq!(measured[&Measure::RedundancyRestored], time(2500));
}

#[test]
fn the_slowest_time_without_a_leader_counts_from_its_own_fault() {
    let mut course = course(outage(0, 0));
    assert_eq!(metrics(&course).measured.get(&Measure::EtcdLedAgain), None);
    let led = |begun, led| {
        let led_again = Some(ms(led));
        Injection { begun: ms(begun), led_again, ..course.injections[0].clone() }
    };
    course.injections = vec![led(1000, 3100), led(5000, 6500)];
    assert_eq!(metrics(&course).measured[&Measure::EtcdLedAgain], time(2100));
}

#[test]
fn a_percentile_grows_by_what_answered_requests_took_longer_under_the_fault() {
    let took = |requests: u32, under_fault: u64| -> Vec<Operation> {
        let before = (0..requests).map(|number| {
            let sent = u64::from(number) * 5;
            ticket(number, sent, sent + 20)
        });
        let after = (0..requests).map(|number| {
            let sent = 2000 + u64::from(number) * 5;
            ticket(number + requests, sent, sent + under_fault)
        });
        // What is sent once it is healed, or fails, is no part of it.
        let others = [ticket(900, 11_000, 19_000), refused(901, 3000, 9000)];
        before.chain(after).chain(others).collect()
    };
    check(took(150, 350), Measure::AddedP99, time(330));
    check(took(150, 10), Measure::AddedP99, time(0));
    check(took(99, 350), Measure::AddedP99, Measured::Unseen);
}

#[test]
fn a_message_is_served_sooner_than_a_ticket_is_safe() {
    let message = message(0, 1100, 1200, 1);
    let operations = vec![message, ticket(1, 1100, 3600), ticket(2, 1000, 1100)];
    check(operations.clone(), Measure::FirstSuccess, time(200));
    check(operations, Measure::FirstStrongAck, time(2600));
}

#[test]
fn whoever_asked_before_the_fault_and_again_after_it_shows_that_it_is_served() {
    let before = ticket(0, 900, 1600);
    check(vec![before.clone()], Measure::FirstSuccess, Measured::Never);
    check(vec![again(1500, before)], Measure::FirstSuccess, time(600));
}

#[test]
fn what_is_lost_of_the_past_counts_from_the_first_lost_acknowledgement_to_the_fault() {
    let operations =
        vec![message(0, 100, 105, 1), message(1, 600, 700, 2), message(2, 900, 950, 3)];
    let mut course = course(operations);
    let keep = |course: &mut Course, kept: &[u32]| {
        let stored = kept.iter().map(|number| (u64::from(*number) + 1, *number)).collect();
        course.final_state.conversations.insert(0, ConversationRead::Messages(stored));
        let measured = metrics(course).measured;
        (measured[&Measure::AckedWeakLost], measured[&Measure::WeakLossSeconds])
    };
    assert_eq!(keep(&mut course, &[0]), (Measured::Got(Value::Count(2)), time(300)));
    assert_eq!(keep(&mut course, &[0, 1, 2]), (Measured::Got(Value::Count(0)), time(0)));
    let stall = Injection { begun: ms(650), ended: ms(660), ..course.injections[0].clone() };
    course.injections.insert(0, stall);
    assert_eq!(keep(&mut course, &[0]), (Measured::Got(Value::Count(2)), time(300)));
}

#[test]
fn where_the_same_is_done_again_and_again_nobody_recovers_from_one_of_them() {
    let course = Course { is_repeated: true, ..course(outage(0, 3600)) };
    let measured = metrics(&course).measured;
    assert_eq!(measured[&Measure::LongestHold], time(2600));
    assert_eq!(measured[&Measure::Recover99], Measured::Unseen);
    assert_eq!(measured[&Measure::FirstSuccess], Measured::Unseen);
}

#[test]
fn what_grows_is_counted_and_a_cell_that_nobody_knows_proves_nothing() {
    let cells = |c1, c2| {
        let tally = |(epoch, rebuilt)| Tally { epoch: Epoch(epoch), rebuilt };
        [("c1".parse().unwrap(), tally(c1)), ("c2".parse().unwrap(), tally(c2))].into()
    };
    let mut course = course(outage(0, 0));
    course.before = cells((3, 0), (5, 4));
    let measured = |course: &Course| {
        let measured = metrics(course).measured;
        [Measure::EpochsChanged, Measure::Rebuilt].map(|measure| measured[&measure])
    };
    assert_eq!(measured(&course), [Measured::Unseen; 2]);
    course.after = Some(cells((3, 1), (7, 4)));
    assert_eq!(measured(&course), [2, 1].map(|count| Measured::Got(Value::Count(count))));
    course.after.as_mut().unwrap().remove(&"c2".parse().unwrap());
    assert_eq!(measured(&course), [Measured::Unseen; 2]);
}

#[test]
fn a_quantile_is_one_of_the_values() {
    let mut values: Vec<Duration> = (1..=100).rev().map(ms).collect();
    assert_eq!(served::quantile(&mut values, 0.99), ms(99));
    assert_eq!(served::quantile(&mut values, 0.5), ms(50));
    assert_eq!(served::quantile(&mut [], 0.5), Duration::ZERO);
}
