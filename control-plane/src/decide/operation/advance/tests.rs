mod run;

use self::run::{Died, Run};
use super::*;
use crate::decide::safety::world::World;

const HOMES: &str = "east east east north";

#[test]
fn an_evacuation_drains_and_then_moves_one_cell_first() {
    let mut run = Run::new(HOMES, "evacuate east");
    run.until_it_ends();
    assert_eq!(
        run.log,
        [
            "wave 0: drain east",
            "wave 1: move c3 from east to south",
            "wave 2: move c1 from east to north",
            "wave 3: move c2 from east to south",
        ]
    );
    run.ended("done", "c1 north, c2 south, c3 south, c4 north", "east");
}

#[test]
fn a_restore_brings_them_home() {
    let mut run = Run::new(HOMES, "evacuate east");
    run.until_it_ends();
    let mut run = Run::of(run.world, "restore east");
    run.until_it_ends();
    run.ended("done", "c1 east, c2 east, c3 east, c4 north", "");
}

#[test]
fn a_drained_region_keeps_its_cells_and_becomes_a_target_again() {
    let mut run = Run::new(HOMES, "drain east");
    run.until_it_ends();
    run.ended("done", "c1 east, c2 east, c3 east, c4 north", "east");
    let mut run = Run::of(run.world, "undrain east");
    run.until_it_ends();
    run.ended("done", "c1 east, c2 east, c3 east, c4 north", "");
}

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

#[test]
fn what_is_cancelled_takes_back_its_own_mark_only() {
    for (said, drained) in [("", ""), ("east is drained", "east")] {
        for goal in ["drain east", "evacuate east"] {
            let mut world = World::new(HOMES, 10);
            world.say(said);
            let mut run = Run::of(world, goal);
            // The mark is set, or found.
            while run.operation.waves[0][0].state == StepState::Waiting {
                run.round();
            }
            run.operation = cancelled(&run.operation, "token 2", 5);
            run.until_it_ends();
            run.ended("cancelled", "c1 east, c2 east, c3 east, c4 north", drained);
        }
    }
}

#[test]
fn whoever_dies_at_any_point_leaves_enough_to_go_on() {
    for goal in ["evacuate east", "restore east"] {
        for died in Died::ALL {
            for step in 0.. {
                let mut run = Run::new(HOMES, goal);
                if goal == "restore east" {
                    run.say("east is drained, c1 is in north, c2 is in south, c3 is in north");
                    run = Run::of(run.world, goal);
                }
                let reached = run.dies(step, died);
                run.until_it_ends();
                let (cells, drained) = match goal {
                    "evacuate east" => ("c1 north, c2 south, c3 south, c4 north", "east"),
                    _ => ("c1 east, c2 east, c3 east, c4 north", ""),
                };
                run.ended("done", cells, drained);
                let moves: Vec<_> = run.log.iter().filter(|line| line.contains("move")).collect();
                assert_eq!(moves.len(), 3, "{goal}, died at {step} {died:?}: {moves:?}");
                if !reached {
                    break;
                }
            }
        }
    }
}

#[test]
fn cancelled_in_any_wave_nothing_more_begins_and_the_region_is_a_target_again() {
    for wave in 0..4 {
        let mut run = Run::new(HOMES, "evacuate east");
        while run.operation.wave() != Some(wave) {
            run.round();
        }
        run.operation = cancelled(&run.operation, "token 2", 5);
        run.until_it_ends();
        let moved = run.log.iter().filter(|line| line.contains("move")).count();
        assert_eq!(moved, wave.saturating_sub(1), "{:?}", run.log);
        assert_eq!((run.operation.status.name(), run.world.drained().as_str()), ("cancelled", ""));
    }
}

#[test]
fn what_goes_on_when_it_is_cancelled_comes_to_its_end() {
    let mut run = Run::new(HOMES, "evacuate east");
    while run.operation.wave() != Some(1) {
        run.round();
    }
    run.write();
    let going = |run: &Run| run.operation.waves[1][0].state.name();
    assert_eq!(going(&run), "going");
    run.operation = cancelled(&run.operation, "token 2", 5);
    run.until_it_ends();
    assert_eq!(going(&run), "done");
    run.ended("cancelled", "c1 east, c2 east, c3 south, c4 north", "");
}

#[test]
fn a_cell_that_has_left_by_itself_is_not_moved() {
    let mut run = Run::new(HOMES, "evacuate east");
    run.round();
    run.say("c1 is in south");
    run.until_it_ends();
    assert!(run.log.iter().all(|line| !line.contains("c1")), "{:?}", run.log);
    run.ended("done", "c1 south, c2 south, c3 south, c4 north", "east");
}

#[test]
fn a_cell_that_has_come_in_meanwhile_is_moved_out_too() {
    let mut run = Run::new(HOMES, "evacuate east");
    run.round();
    run.say("c4 is in east");
    run.until_it_ends();
    run.ended("done", "c1 north, c2 south, c3 south, c4 north", "east");
}

#[test]
fn another_target_is_taken_if_the_planned_one_does_not_keep_up() {
    let mut run = Run::new("east", "evacuate east");
    run.say("c1@north lags");
    run.until_it_ends();
    run.ended("done", "c1 south", "east");
}

#[test]
fn what_goes_on_takes_up_room_for_what_would_go_beside_it() {
    let mut run = Run::of(World::new("east east east east south", 4), "evacuate east");
    while run.operation.wave() != Some(3) {
        run.round();
        run.later(Duration::from_millis(500));
    }
    assert_eq!(run.operation.waves[3].len(), 2);
    for step in run.operation.waves[3].clone() {
        let What::Move(Move { cell, .. }) = step.what else { panic!("{step:?} is no move") };
        run.say(&format!("{cell}@south lags"));
    }
    // One more fits into the north, and two do not.
    run.write();
    let going = run.operation.waves[3].iter().filter(|step| step.is_going()).count();
    assert_eq!(going, 1, "{:?}", run.operation);
    let waits = run.operation.waits_for.clone().unwrap_or_default();
    assert!(waits.contains("north would carry 4 of its capacity 4"), "{waits}");
}

#[test]
fn what_goes_on_in_another_operation_takes_up_room_too() {
    let mut world = World::new("east north", 2);
    world.say("c2 is in south");
    let mut other = world.operation("evacuate east", Instant::now());
    let mut run = Run::of(world, "restore north");
    other.waves[1][0].state = StepState::Going { attempt: 1, since_unix_ms: 1 };
    run.world.goes_on(other);
    while run.operation.waits_for.is_none() {
        run.round();
    }
    let waits = run.operation.waits_for.clone().unwrap_or_default();
    assert!(waits.contains("north would carry 2 of its capacity 2"), "{waits}");
}

#[test]
fn nothing_begins_while_all_is_frozen_and_that_may_take_long() {
    let mut run = Run::new("east", "evacuate east");
    run.round();
    run.say("frozen");
    for _ in 0..20 {
        run.later(DEADLINE);
        run.round();
    }
    let waits = run.operation.waits_for.clone();
    assert_eq!(waits.as_deref(), Some("frozen: token 1 said so: nobody moves"));
    run.say("thawed");
    run.until_it_ends();
    run.ended("done", "c1 north", "east");
}

#[test]
fn what_was_refused_before_a_freeze_is_not_tried_again_while_it_lasts() {
    let mut run = Run::new("east", "evacuate east");
    run.refuses = usize::MAX;
    while run.log.len() < 2 {
        run.round();
    }
    run.say("frozen");
    for _ in 0..20 {
        run.later(DEADLINE);
        run.round();
    }
    assert_eq!(run.log.len(), 2, "{:?}", run.log);
    let waits = run.operation.waits_for.clone();
    assert_eq!(waits.as_deref(), Some("frozen: token 1 said so: nobody moves"));
    run.refuses = 0;
    run.say("thawed");
    run.until_it_ends();
    run.ended("done", "c1 north", "east");
}

#[test]
fn what_is_cancelled_after_a_step_failed_leaves_a_target_too() {
    let mut run = Run::new("east east", "evacuate east");
    while run.operation.wave() != Some(1) {
        run.round();
    }
    run.operation.waves[1][0].state = StepState::Failed("busy".to_owned());
    run.operation = cancelled(&run.operation, "token 2", 5);
    run.until_it_ends();
    run.ended("cancelled", "c1 east, c2 east", "");
}

#[test]
fn a_cell_that_can_go_nowhere_ends_it_in_time_and_the_region_stays_drained() {
    let mut run = Run::new("east east", "evacuate east");
    run.round();
    run.say("c2@north lags, c2@south lags, c1@north lags, c1@south lags");
    run.until_it_ends();
    assert_eq!(run.log, ["wave 0: drain east"]);
    run.ended("failed", "c1 east, c2 east", "east");
    let states: Vec<&str> = run.operation.steps().map(|step| step.state.name()).collect();
    assert_eq!(states, ["done", "failed", "skipped"]);
}

#[test]
fn a_move_that_is_refused_is_tried_again_until_its_deadline() {
    let mut run = Run::new("east", "evacuate east");
    run.refuses = 5;
    run.until_it_ends();
    run.ended("done", "c1 north", "east");
    let mut run = Run::new("east", "evacuate east");
    run.refuses = usize::MAX;
    run.until_it_ends();
    run.ended("failed", "c1 east", "east");
    assert_eq!(run.operation.status, Status::Failed("move c1 from east to north: busy".to_owned()));
}

#[test]
fn a_cell_that_elects_its_old_site_again_and_again_is_given_up() {
    let mut run = Run::new("east", "evacuate east");
    run.elects_again = usize::MAX;
    run.until_it_ends();
    let moves = run.log.iter().filter(|line| line.contains("move")).count();
    assert_eq!(moves, 3, "{:?}", run.log);
    run.ended("failed", "c1 east", "east");
}

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
fn a_pause_longer_than_a_steps_deadline_fails_nothing() {
    let mut run = Run::new(HOMES, "evacuate east");
    run.operation.pause_ms = 200_000;
    run.until_it_ends();
    run.ended("done", "c1 north, c2 south, c3 south, c4 north", "east");
}
