use super::*;
use crate::course::ConversationRead;
use crate::history::End;
use crate::history::fixture::{
    connection, ended, heard, heard_reply, message, ms, opened, served, users,
};

/// Two messages and the answers to them are told; the second of them after a move, by another site.
fn whole() -> Course {
    let asked = |after| Step::Asked { after };
    let mut streams = connection(
        1,
        vec![
            (0, asked(None)),
            (5, opened(1)),
            (20, heard(1, 0)),
            (22, heard_reply(2)),
            (900, ended(End::Moved)),
        ],
    );
    streams.extend(connection(2, vec![(950, asked(Some(2))), (951, ended(End::Closed))]));
    streams.extend(connection(
        3,
        vec![
            (1100, asked(Some(2))),
            (1500, opened(3)),
            (1510, heard(3, 1)),
            (1512, heard_reply(4)),
            (9000, ended(End::Stopped)),
        ],
    ));
    let second = Operation { served: Some(served("south", 3)), ..message(1, 1000, 1508, 3) };
    let operations = vec![message(0, 10, 25, 1), second];
    let mut course = Course { users: users(), operations, streams, ..Course::default() };
    store(&mut course, &[(1, 0), (3, 1)]);
    course
}

fn store(course: &mut Course, stored: &[(u64, u32)]) {
    let messages = ConversationRead::Messages(stored.to_vec());
    course.final_state.conversations.insert(0, messages);
}

fn keep(course: &mut Course, is_kept: impl Fn(&StreamStep) -> bool) {
    course.streams.retain(is_kept);
}

fn is_told(step: &StreamStep, number: u64) -> bool {
    matches!(step.step, Step::Heard { seq, .. } if seq == number)
}

fn told_again(course: &mut Course, at: u64, step: Step) {
    let last = course.streams.len() - 1;
    course.streams.insert(last, connection(3, vec![(at, step)]).remove(0));
}

#[track_caller]
fn fails(course: &Course, witness: &str) {
    assert_eq!(check(course), Finding::Fail(vec![witness.to_owned()]));
}

#[track_caller]
fn is_unknown(course: &Course, why: &str) {
    assert_eq!(check(course), Finding::Unknown(vec![why.to_owned()]));
}

#[test]
fn a_stream_that_is_opened_again_and_tells_everything_once_breaks_nothing() {
    assert_eq!(check(&whole()), Finding::Pass);
    assert_eq!(unheard(&whole()), Some(0));
}

#[test]
fn what_is_told_twice_is_caught_across_connections_and_within_one() {
    let mut course = whole();
    course.streams.insert(9, connection(3, vec![(1505, heard(1, 0))]).remove(0));
    let expected = [
        "u0: after 2 connection 3 went back to 1".to_owned(),
        "u0: after 1 connection 3 skipped to 3".to_owned(),
    ];
    assert_eq!(check(&course), Finding::Fail(expected.into()));
    let mut course = whole();
    told_again(&mut course, 1600, heard_reply(4));
    fails(&course, "u0: after 4 connection 3 went back to 4");
}

#[test]
fn a_message_that_is_told_under_two_numbers_of_one_epoch_is_caught() {
    let mut course = whole();
    told_again(&mut course, 1600, heard(5, 1));
    fails(&course, "u0: message 1 was told as 3 and as 5");
}

#[test]
fn a_message_that_was_tried_again_elsewhere_may_be_told_under_both_numbers() {
    let mut course = whole();
    let first = course.streams.iter_mut().find(|step| is_told(step, 1)).unwrap();
    first.step = heard(1, 1);
    course.operations.remove(0);
    store(&mut course, &[(3, 1)]);
    assert_eq!(check(&course), Finding::Pass);
}

#[test]
fn an_acknowledged_message_that_is_skipped_is_caught() {
    let mut course = whole();
    keep(&mut course, |step| !is_told(step, 3));
    let expected = [
        "u0: after 2 connection 3 skipped to 4".to_owned(),
        "u0: message 1, acknowledged at 1.508 s, is 3, and was skipped".to_owned(),
    ];
    assert_eq!(check(&course), Finding::Fail(expected.into()));
}

#[test]
fn an_answer_that_is_skipped_is_caught_too() {
    let mut course = whole();
    keep(&mut course, |step| !is_told(step, 2));
    fails(&course, "u0: after 1 connection 3 skipped to 3");
    let mut course = whole();
    keep(&mut course, |step| !is_told(step, 1));
    let told = check(&course);
    let Finding::Fail(witnesses) = &told else { panic!("{told:?}") };
    assert_eq!(witnesses[0], "u0: after 0 connection 1 skipped to 2");
}

#[test]
fn what_an_open_stream_never_tells_is_caught() {
    let mut course = whole();
    keep(&mut course, |step| !is_told(step, 3) && !is_told(step, 4));
    fails(
        &course,
        "u0: message 1, acknowledged at 1.508 s, was not told by a stream that was open for 7.5 s after it",
    );
}

#[test]
fn a_stream_that_was_not_open_for_long_enough_proves_nothing() {
    let mut course = whole();
    keep(&mut course, |step| !is_told(step, 3) && !is_told(step, 4));
    course.streams.last_mut().unwrap().at = ms(2508);
    let why = |seconds| {
        format!(
            "u0: message 1, acknowledged at 1.508 s, was not told, but its stream was open for only \
             {seconds} s after it"
        )
    };
    is_unknown(&course, &why("1.0"));
    // What was open before is over: it might have told all of it at once.
    course.streams.extend(connection(4, vec![(9000, Step::Asked { after: Some(2) })]));
    is_unknown(&course, &why("0.0"));
}

#[test]
fn a_lost_message_may_have_been_told_or_not() {
    let mut course = whole();
    store(&mut course, &[(1, 0)]);
    assert_eq!(check(&course), Finding::Pass);
    keep(&mut course, |step| !is_told(step, 3) && !is_told(step, 4));
    assert_eq!(check(&course), Finding::Pass);
    assert_eq!(unheard(&course), Some(0));
}

/// The first message was lost after it had been told, and the second one has its number now.
fn covered() -> Course {
    let mut course = whole();
    keep(&mut course, |step| !is_told(step, 3) && !is_told(step, 4));
    store(&mut course, &[(1, 1)]);
    course
}

#[test]
fn one_that_has_the_number_of_a_lost_one_that_was_told_is_counted_and_no_failure() {
    let course = covered();
    assert_eq!(check(&course), Finding::Pass);
    assert_eq!(unheard(&course), Some(1));
}

#[test]
fn a_number_that_is_told_of_another_message_under_the_same_epoch_is_caught() {
    let mut course = covered();
    course.operations[1].served = Some(served("east", 1));
    fails(&course, "u0: message 1, acknowledged at 1.508 s, is 1, and another was told under it");
    let unclear = "u0: message 1, acknowledged at 1.508 s, is 1, and another was told under it; \
                   under which epochs is not known";
    course.streams[1].step = Step::Opened(None);
    is_unknown(&course, unclear);
    let mut course = covered();
    course.operations[1].served.as_mut().unwrap().replayed = true;
    is_unknown(&course, unclear);
}

/// A message and its answer are lost after they were told, and the successor has others under their numbers.
fn gone_back(epoch: u64, told: Vec<(u64, Step)>) -> Course {
    let mut course = whole();
    course.streams.truncate(5);
    let begun = vec![(1100, Step::Asked { after: Some(2) }), (1500, opened(epoch))];
    let stopped = vec![(9000, ended(End::Stopped))];
    course.streams.extend(connection(2, [begun, told, stopped].concat()));
    course.operations[1].outcome = message(1, 0, 0, 1).outcome;
    store(&mut course, &[(1, 1)]);
    course
}

fn new_reply(seq: u64) -> Step {
    Step::Heard { seq, id: format!("msg_{seq}_new"), number: None }
}

#[test]
fn a_successor_that_lost_what_was_told_goes_on_after_what_it_has() {
    let told = || vec![(1510, heard(1, 1)), (1512, new_reply(2)), (1514, new_reply(3))];
    assert_eq!(check(&gone_back(3, told())), Finding::Pass);
    assert_eq!(unheard(&gone_back(3, told())), Some(0));
    fails(&gone_back(1, told()), "u0: after 2 connection 2 went back to 1");
    let mut course = gone_back(3, told());
    course.streams[6].step = Step::Opened(None);
    fails(&course, "u0: after 2 connection 2 went back to 1");
}

#[test]
fn a_successor_that_goes_back_to_what_it_has_tells_it_twice_and_is_caught() {
    let told = vec![(1510, heard(1, 1)), (1512, heard_reply(2))];
    fails(&gone_back(3, told), "u0: after 1 connection 2 told again, as 2");
    let mut course = gone_back(3, vec![(1510, heard_reply(2))]);
    store(&mut course, &[(1, 0)]);
    fails(&course, "u0: after 2 connection 2 went back to 2");
}

#[test]
fn what_is_skipped_or_not_told_after_going_back_is_caught_although_its_number_was_told_before() {
    let lost = connection(1, vec![(24, new_reply(3)), (26, new_reply(4))]);
    let with = |told| {
        let mut course = gone_back(3, told);
        course.streams.splice(4..4, lost.clone());
        course
    };
    fails(
        &with(vec![(1510, heard(1, 1)), (1512, heard_reply(3))]),
        "u0: after 1 connection 2 skipped to 3",
    );
    let mut course = with(vec![(1510, heard(1, 1))]);
    let untold = Operation { served: Some(served("south", 3)), ..message(2, 1900, 2000, 3) };
    course.operations.push(untold);
    store(&mut course, &[(1, 1), (3, 2)]);
    fails(
        &course,
        "u0: message 2, acknowledged at 2.000 s, was not told by a stream that was open for 7.0 s after it",
    );
}

#[test]
fn what_was_not_seen_is_never_a_pass() {
    let mut course = whole();
    course.final_state.conversations.clear();
    is_unknown(&course, "conversation of u0 was not read back");
    assert_eq!(unheard(&course), None);

    let mut course = whole();
    course.streams =
        connection(1, vec![(0, Step::Asked { after: None }), (9, ended(End::Stopped))]);
    is_unknown(&course, "the stream of u0 was never open");

    let mut course = whole();
    course.operations.clear();
    is_unknown(&course, "nothing was acknowledged in a conversation that is streamed");

    let mut course = whole();
    course.streams.clear();
    is_unknown(&course, "no stream was held");
    assert_eq!(unheard(&course), None);
}

#[test]
fn a_conversation_that_nobody_streams_is_none_of_its_business() {
    let mut course = whole();
    course.operations.push(Operation { user: 1, ..message(2, 100, 110, 1) });
    assert_eq!(check(&course), Finding::Pass);
}
