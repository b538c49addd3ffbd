//! A standby site leaves its cell, and is let in again.

use super::*;

#[test]
fn a_site_leaves_and_is_let_in_again() {
    let mut run = Run::new("east", "retire-site c1@south");
    run.until_it_ends();
    assert_eq!(
        (run.operation.status.name(), run.sites()),
        ("done", "north, out: south".to_owned())
    );
    let mut run = Run::of(run.world, "add-site c1@south");
    run.until_it_ends();
    assert_eq!(
        (run.operation.status.name(), run.sites()),
        ("done", "north south, out: ".to_owned())
    );
}

#[test]
fn a_site_that_does_not_leave_in_time_stays() {
    let mut run = Run::new("east", "retire-site c1@south");
    run.nobody_leaves_or_joins = true;
    run.until_it_ends();
    assert_eq!(run.log, ["wave 0: retire c1@south", "wave 1: add c1@south"]);
    assert_eq!(run.sites(), "north south, out: ");
    let why = "retire c1@south: no end after 60 s: it still votes".to_owned();
    assert_eq!(run.operation.status, Status::Failed(why));
}

#[test]
fn a_site_has_an_hour_to_catch_up_and_is_kept_out_again_if_it_does_not() {
    let mut run = Run::new("east", "retire-site c1@south");
    run.until_it_ends();
    let mut run = Run::of(run.world, "add-site c1@south");
    run.nobody_leaves_or_joins = true;
    while run.now - run.first < JOINING.saturating_sub(DEADLINE) {
        run.round();
        run.later(Duration::from_secs(20));
    }
    assert_eq!((run.operation.status.name(), run.sites()), ("running", "north, out: ".to_owned()));
    run.later(DEADLINE * 2);
    run.until_it_ends();
    assert_eq!(run.sites(), "north, out: south");
    let why = "add c1@south: no end after 3600 s: it does not vote yet".to_owned();
    assert_eq!(run.operation.status, Status::Failed(why));
}

#[test]
fn what_is_cancelled_leaves_a_site_in_or_out_as_it_was() {
    for (goal, said, before) in [
        ("retire-site c1@south", "", "north south, out: "),
        ("add-site c1@south", "c1@south is kept out, c1@south has left", "north, out: south"),
        // Nothing is to be done, and nothing is taken back.
        ("retire-site c1@south", "c1@south is kept out", "north south, out: south"),
    ] {
        let mut world = World::new("east", 10);
        world.say(said);
        let mut run = Run::of(world, goal);
        run.nobody_leaves_or_joins = true;
        while run.operation.waves[0][0].state == StepState::Waiting || run.look().next.is_some() {
            run.round();
            if !run.operation.waves[0][0].is_going() {
                break;
            }
        }
        if run.operation.waves[0][0].is_going() {
            run.round();
        }
        run.operation = cancelled(&run.operation, "token 2", 5);
        run.until_it_ends();
        assert_eq!(run.sites(), before, "{goal}, {said}");
        assert_eq!(run.operation.status, Status::Cancelled, "{goal}, {said}");
    }
}

#[test]
fn a_site_that_is_elected_before_it_has_left_stays() {
    let mut run = Run::new("east", "retire-site c1@south");
    run.nobody_leaves_or_joins = true;
    while run.log.is_empty() {
        run.round();
    }
    run.say("c1@south is let in, c1 is in south");
    run.until_it_ends();
    let why = "retire c1@south: it was elected before it had left".to_owned();
    assert_eq!(run.operation.status, Status::Failed(why));
    assert_eq!(run.sites(), "east north, out: ");
}

#[test]
fn who_dies_while_a_site_leaves_or_joins_leaves_enough_to_go_on() {
    for (goal, said, after) in [
        ("retire-site c1@south", "", "north, out: south"),
        ("add-site c1@south", "c1@south is kept out, c1@south has left", "north south, out: "),
    ] {
        for died in Died::ALL {
            for step in 0.. {
                let mut world = World::new("east", 10);
                world.say(said);
                let mut run = Run::of(world, goal);
                let reached = run.dies(step, died);
                run.until_it_ends();
                let found = (run.operation.status.name(), run.sites());
                assert_eq!(found, ("done", after.to_owned()), "{goal}, died at {step} {died:?}");
                if !reached {
                    break;
                }
            }
        }
    }
}
