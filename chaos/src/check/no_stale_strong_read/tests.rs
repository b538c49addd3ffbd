use super::*;
use crate::history::Failure;
use crate::history::fixture::{again, changed, ms, read, users};

/// User 0 moves their ticket on to 2 and to 3, reads it in between, and it is 3 in the end.
fn whole() -> Course {
    let operations = vec![changed(0, 0, 5, 2), read(1, 10, 15, 2), changed(2, 20, 25, 3)];
    let mut course = Course { users: users(), operations, ..Course::default() };
    course.final_state.versions.insert(0, FinalVersion::Is(3));
    course
}

fn fails(course: &Course) -> Vec<String> {
    match check(course) {
        Finding::Fail(witnesses) => witnesses,
        Finding::Pass | Finding::Unknown(_) => panic!("not caught: {:?}", check(course)),
    }
}

#[test]
fn a_ticket_that_is_moved_on_and_read_breaks_nothing() {
    let mut course = whole();
    assert_eq!(check(&course), Finding::Pass);
    // While it is moved on, either version is right.
    for version in [2, 3] {
        course.operations.push(read(3, 21, 24, version));
        assert_eq!(check(&course), Finding::Pass);
    }
}

#[test]
fn a_read_that_shows_less_than_was_acknowledged_is_caught() {
    let mut course = whole();
    course.operations.push(read(3, 30, 31, 2));
    assert_eq!(
        fails(&course),
        ["of the ticket of u0, strong-read 3 answered 2 (0.030 to 0.031 s), after transition 2 \
             made it 3 (0.020 to 0.025 s)"]
    );
}

#[test]
fn a_read_that_shows_less_than_another_read_is_caught() {
    let mut course = whole();
    // Nobody knows yet whether it is moved on; one read says so, and the next one says no.
    course.operations[2].ended = ms(100);
    course.operations.extend([read(3, 30, 35, 3), read(4, 40, 45, 2)]);
    assert_eq!(fails(&course).len(), 1);
}

#[test]
fn what_a_read_shows_is_of_its_last_try_and_a_write_may_be_of_its_first() {
    let mut course = whole();
    // Asked while the ticket was 2, and answered so.
    course.operations.push(read(3, 18, 31, 2));
    assert_eq!(check(&course), Finding::Pass);
    course.operations[3] = again(30, read(3, 18, 31, 2));
    assert_eq!(
        fails(&course),
        ["of the ticket of u0, strong-read 3 answered 2 (0.030 to 0.031 s), after transition 2 \
             made it 3 (0.020 to 0.025 s)"]
    );
    // Its first try has moved it on, another user of it has seen that, and its last try is told so.
    let mut course = whole();
    course.operations[2] = again(40, changed(2, 20, 45, 3));
    course.operations.push(read(3, 30, 31, 3));
    assert_eq!(check(&course), Finding::Pass);
}

#[test]
fn a_weak_read_may_be_an_old_one_and_a_strong_one_never() {
    let mut course = whole();
    let old = || Outcome::Ok(Effect::Read { version: 3, stale: true });
    let weak = |number| Operation { kind: Kind::WeakRead, ..read(number, 30, 31, 1) };
    course.operations.extend([weak(3), Operation { outcome: old(), ..weak(4) }]);
    assert_eq!(check(&course), Finding::Pass);
    let mut other = course.clone();
    other.operations.push(Operation { outcome: old(), ..read(5, 30, 31, 3) });
    assert_eq!(
        fails(&other),
        ["of the ticket of u0, strong-read 5 was given an old answer, 3, which says so"]
    );
    // But not one of a version that there never was.
    course.operations.push(Operation { kind: Kind::WeakRead, ..read(5, 30, 31, 4) });
    assert_eq!(
        fails(&course),
        ["of the ticket of u0, weak-read 5 answered 4, and 3 was the highest asked for"]
    );
}

#[test]
fn a_version_that_was_read_and_is_gone_in_the_end_is_caught() {
    let mut course = whole();
    let timeout = Outcome::Unknown(Failure::Timeout);
    course.operations[2].outcome = timeout;
    course.final_state.versions.insert(0, FinalVersion::Is(2));
    assert_eq!(check(&course), Finding::Pass);
    course.operations.push(read(3, 30, 31, 3));
    assert_eq!(
        fails(&course),
        [
            "of the ticket of u0, the last read answered 2, after strong-read 3 answered 3 (0.030 to \
             0.031 s)"
        ]
    );
    course.final_state.versions.insert(0, FinalVersion::Gone);
    assert_eq!(fails(&course), ["the ticket of u0 is gone"]);
}

#[test]
fn a_ticket_that_is_there_and_is_not_found_is_caught() {
    let mut course = whole();
    let gone = || {
        Outcome::Fail(Failure::Status {
            status: 404,
            code: "not-found".to_owned(),
            says_when: false,
        })
    };
    let weak = Operation { kind: Kind::WeakRead, outcome: gone(), ..read(3, 30, 31, 1) };
    course.operations.push(weak);
    assert_eq!(check(&course), Finding::Pass);
    course.operations.push(Operation { outcome: gone(), ..read(4, 30, 31, 3) });
    assert_eq!(fails(&course), ["of the ticket of u0, strong-read 4 was told that there is none"]);
}

#[test]
fn two_transitions_from_one_version_are_caught() {
    let mut course = whole();
    course.operations.push(changed(3, 19, 26, 3));
    assert_eq!(
        fails(&course),
        [
            "what was answered about the ticket of u0 cannot have happened in any order: transition 0 \
             made it 2 (0.000 to 0.005 s); transition 2 made it 3 (0.020 to 0.025 s); transition 3 made \
             it 3 (0.019 to 0.026 s)"
        ]
    );
}

#[test]
fn a_transition_that_was_refused_and_done_nevertheless_is_caught() {
    let mut course = whole();
    course.operations[2].outcome = Outcome::Ok(Effect::Overtaken { version: 3 });
    assert_eq!(fails(&course).len(), 1);
    course.operations[2].outcome = Outcome::Ok(Effect::Overtaken { version: 2 });
    course.final_state.versions.insert(0, FinalVersion::Is(2));
    assert_eq!(
        fails(&course),
        ["of the ticket of u0, transition 2 was refused, and found version 2 as it had been seen"]
    );
}

#[test]
fn what_was_not_read_proves_nothing() {
    let mut course = whole();
    course.final_state.versions.clear();
    assert!(matches!(check(&course), Finding::Unknown(_)));
    let mut course = whole();
    course.operations.remove(1);
    assert_eq!(check(&course), Finding::Unknown(vec!["no strong read was answered".to_owned()]));
}
