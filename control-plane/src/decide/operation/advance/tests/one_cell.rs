//! One cell is moved alone: by plan, or because it is lost.

use topology::Epoch;

use super::*;

/// As it is written down: going on.
fn switchover() -> Run {
    let mut run = Run::new("east north", "switchover c1@south");
    run.operation = run.operation.under_way(1);
    run
}

#[test]
fn one_cell_is_moved_and_the_record_says_under_which_epoch() {
    let mut run = switchover();
    run.until_it_ends();
    assert_eq!(run.log, ["wave 0: move c1 from east to south"]);
    run.ended("done", "c1 south, c2 north", "");
    let moved = &run.operation.waves[0][0].state;
    assert!(matches!(moved, StepState::Done { epoch: Some(Epoch(3)), .. }), "{moved:?}");
}

#[test]
fn a_move_of_one_cell_is_tried_once() {
    let mut run = switchover();
    run.refuses = usize::MAX;
    run.until_it_ends();
    run.ended("failed", "c1 east, c2 north", "");
    assert_eq!(run.operation.status, Status::Failed("move c1 from east to south: busy".to_owned()));
    let mut run = switchover();
    run.elects_again = usize::MAX;
    run.until_it_ends();
    run.ended("failed", "c1 east, c2 north", "");
    assert_eq!(run.log.len(), 1, "{:?}", run.log);
}

#[test]
fn who_dies_while_one_cell_is_moved_leaves_enough_to_go_on() {
    for died in Died::ALL {
        for step in 0.. {
            let mut run = switchover();
            let reached = run.dies(step, died);
            run.until_it_ends();
            run.ended("done", "c1 south, c2 north", "");
            assert_eq!(run.log.len(), 1, "died at {step} {died:?}: {:?}", run.log);
            if !reached {
                break;
            }
        }
    }
}

/// As it is written down: going on, of a cell whose active site is lost.
fn failover(goal: &str) -> Run {
    let mut world = World::new("east north", 10);
    world.say("east is down");
    let mut run = Run::of(world, goal);
    run.operation = run.operation.under_way(1);
    run
}

#[test]
fn a_lost_cell_is_elected_once_and_the_record_says_who_has_won() {
    let mut run = failover("failover c1");
    run.until_it_ends();
    assert_eq!(run.log, ["wave 0: fail c1 over"]);
    run.ended("done", "c1 south, c2 north", "");
    let Step { what, state } = &run.operation.waves[0][0];
    assert_eq!(what.to_string(), "fail c1 over to south");
    assert!(matches!(state, StepState::Done { epoch: Some(Epoch(3)), .. }), "{state:?}");

    let mut run = failover("failover c1@south");
    run.refuses = usize::MAX;
    run.until_it_ends();
    assert_eq!(run.log.len(), 1, "{:?}", run.log);
    assert_eq!(run.operation.status, Status::Failed("fail c1 over to south: busy".to_owned()));

    let mut run = failover("failover c1@south");
    run.say("c1 is in north");
    run.until_it_ends();
    let why = "fail c1 over to south: north was elected".to_owned();
    assert_eq!((run.log.len(), run.operation.status), (0, Status::Failed(why)));
}

#[test]
fn an_election_that_comes_to_nothing_ends_its_operation_in_time() {
    for goal in ["failover c1@south", "force c1@south"] {
        let mut run = failover(goal);
        run.elects_again = usize::MAX;
        run.until_it_ends();
        let Status::Failed(why) = &run.operation.status else { panic!("{:?}", run.operation) };
        assert!(why.starts_with("fail c1 over to south: no end after 60 s: the cell is "), "{why}");
        assert_eq!(run.log.len(), 1, "{goal}: {:?}", run.log);
    }
}

#[test]
fn who_dies_while_a_lost_cell_is_elected_leaves_enough_to_go_on() {
    for goal in ["failover c1@south", "force c1@south"] {
        for died in Died::ALL {
            for step in 0.. {
                let mut run = failover(goal);
                let reached = run.dies(step, died);
                run.until_it_ends();
                run.ended("done", "c1 south, c2 north", "");
                assert_eq!(run.log.len(), 1, "{goal}, died at {step} {died:?}: {:?}", run.log);
                if !reached {
                    break;
                }
            }
        }
    }
}

#[test]
fn data_loss_is_accepted_by_whoever_goes_on_and_an_election_is_not_begun_twice() {
    for (goal, ended, begun) in [("failover c1@south", "failed", 0), ("force c1@south", "done", 1)]
    {
        let mut run = failover(goal);
        run.say("c1 is electing");
        run.until_it_ends();
        assert_eq!((run.operation.status.name(), run.log.len()), (ended, begun), "{goal}");
    }
}

#[test]
fn a_move_of_one_cell_is_cancelled_only_until_it_has_begun() {
    for (goal, said, late) in [
        ("failover c1@south", "", false),
        ("failover c1@south", "c1 is electing", true),
        ("force c1@south", "", false),
        // It counts its rounds, whoever has begun it.
        ("force c1@south", "c1 is electing", false),
        ("force c1@south", "c1 is in south", true),
    ] {
        let mut run = failover(goal);
        run.say(said);
        let state = run.world.state(run.now);
        let told = too_late_to_cancel(&run.operation, &state);
        assert_eq!(told.is_some(), late, "{goal}, {said}: {told:?}");
        if !late {
            run.operation = cancelled(&run.operation, "token 2", 5);
            run.until_it_ends();
            assert_eq!((&run.operation.status, run.log.len()), (&Status::Cancelled, 0), "{goal}");
        }
    }
    let mut run = switchover();
    let before = too_late_to_cancel(&run.operation, &run.world.state(run.now));
    run.say("c1 is in south");
    let after = too_late_to_cancel(&run.operation, &run.world.state(run.now));
    let why = "c1 is at epoch 3, steady in south by now".to_owned();
    assert_eq!((before, after), (None, Some(why)));
}

#[test]
fn a_move_of_one_cell_whose_executor_died_is_not_tried_again_where_it_was_aborted() {
    let mut run = switchover();
    run.elects_again = usize::MAX;
    run.dies(0, Died::AfterCarryingOut);
    run.until_it_ends();
    run.ended("failed", "c1 east, c2 north", "");
    assert_eq!(run.log.len(), 1, "{:?}", run.log);
    let mut run = switchover();
    run.say("c1 is in north");
    run.until_it_ends();
    run.ended("failed", "c1 north, c2 north", "");
}

#[test]
fn a_move_of_one_cell_can_be_cancelled_until_it_begins() {
    let mut run = switchover();
    run.say("frozen");
    run.round();
    let waits = run.operation.waits_for.clone();
    assert_eq!(waits.as_deref(), Some("frozen: token 1 said so: nobody moves"));
    run.operation = cancelled(&run.operation, "token 2", 5);
    run.until_it_ends();
    run.ended("cancelled", "c1 east, c2 north", "");

    let mut run = switchover();
    run.carry_out((0, 0));
    run.operation = cancelled(&run.operation, "token 2", 5);
    run.until_it_ends();
    run.ended("done", "c1 south, c2 north", "");

    // Aborted after it was announced, it has not been cancelled: it has interrupted users.
    let mut run = switchover();
    run.elects_again = usize::MAX;
    run.carry_out((0, 0));
    run.operation = cancelled(&run.operation, "token 2", 5);
    run.until_it_ends();
    run.ended("failed", "c1 east, c2 north", "");
}
