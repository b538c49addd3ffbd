//! What lies between two waves.

use super::*;

#[test]
fn between_two_waves_is_the_pause_that_was_asked_for() {
    let mut run = Run::new("east east", "evacuate east");
    run.operation.pause_ms = 30_000;
    let mut begun = Vec::new();
    while !run.operation.status.has_ended() {
        let before = run.log.len();
        run.round();
        if run.log.len() > before {
            begun.push((run.now - run.first).as_secs() / 30);
        }
        run.later(Duration::from_secs(1));
    }
    // The mark, the first cell, and after a pause the second.
    assert_eq!(begun, [0, 0, 1]);
}

#[test]
fn the_next_wave_waits_until_what_has_moved_is_whole_but_not_for_long() {
    // The mark, the first cell, which has a voter less for so many seconds, and the second.
    let begins_after = |whole_after: u64| {
        let mut run = Run::new("east east", "evacuate east");
        while run.log.len() < 2 {
            run.round();
        }
        run.say("c1@south has left");
        for second in 0.. {
            if second == whole_after {
                run.say("c1@south votes");
            }
            run.round();
            run.round();
            if run.log.len() == 3 {
                return second;
            }
            run.later(Duration::from_secs(1));
        }
        unreachable!("the loop goes on until it returns")
    };
    let begun = [0, 5, 1000].map(begins_after);
    assert!(
        begun[0] < 3 && (5..8).contains(&begun[1]) && (10..13).contains(&begun[2]),
        "{begun:?}"
    );
}

#[test]
fn a_pause_longer_than_a_steps_deadline_fails_nothing() {
    let mut run = Run::new(HOMES, "evacuate east");
    run.operation.pause_ms = 200_000;
    run.until_it_ends();
    run.ended("done", "c1 north, c2 south, c3 south, c4 north", "east");
}
