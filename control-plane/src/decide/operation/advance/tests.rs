mod cancel;
mod one_cell;
mod run;
mod sites;
mod waves;

use self::run::{Died, Run};
use super::*;
use crate::decide::safety::world::World;

const HOMES: &str = "east east east north";
/// What an evacuation of the east leaves.
const EMPTIED: &str = "east is drained, c1 is in north, c2 is in south, c3 is in north";

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
    let (home, away) =
        ("c1 east, c2 east, c3 east, c4 north", "c1 north, c2 south, c3 south, c4 north");
    for (goal, said, cells, drained, moves) in [
        ("evacuate east", "", away, "east", 3),
        ("restore east", EMPTIED, home, "", 3),
        ("drain east", "", home, "east", 0),
        ("undrain east", EMPTIED, "c1 north, c2 south, c3 north, c4 north", "", 0),
    ] {
        for died in Died::ALL {
            for step in 0.. {
                let mut run = after(said, goal);
                let reached = run.dies(step, died);
                run.until_it_ends();
                run.ended("done", cells, drained);
                let moved: Vec<_> = run.log.iter().filter(|line| line.contains("move")).collect();
                assert_eq!(moved.len(), moves, "{goal}, died at {step} {died:?}: {moved:?}");
                if !reached {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_restore_that_is_cancelled_in_any_wave_begins_nothing_more_and_takes_nothing_back() {
    for wave in 0..4 {
        let mut run = after(EMPTIED, "restore east");
        while run.operation.wave() != Some(wave) {
            run.round();
        }
        let before = run.world.active();
        run.operation = cancelled(&run.operation, "token 2", 5);
        run.until_it_ends();
        // Once the region is a target cells may have come in: it stays one.
        run.ended("cancelled", &before, if wave == 0 { "east" } else { "" });
        let moved = run.log.iter().filter(|line| line.contains("move")).count();
        assert_eq!(moved, wave.saturating_sub(1), "{:?}", run.log);
    }
}

#[test]
fn a_region_that_is_a_target_again_stays_one_when_that_is_cancelled() {
    for (begun, drained) in [(false, "east"), (true, "")] {
        let mut run = after("east is drained", "undrain east");
        while begun && run.log.is_empty() {
            run.round();
        }
        run.operation = cancelled(&run.operation, "token 2", 5);
        run.until_it_ends();
        run.ended("cancelled", "c1 east, c2 east, c3 east, c4 north", drained);
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
fn what_a_freeze_holds_or_was_refused_is_left_out_once_it_is_cancelled() {
    for (refuses, said) in [(0, "frozen"), (usize::MAX, "")] {
        let mut run = Run::new("east east", "evacuate east");
        run.refuses = refuses;
        while !run
            .operation
            .steps()
            .any(|step| matches!(step.what, What::Move(_)) && step.is_going())
        {
            run.round();
        }
        while refuses > 0 && run.log.len() < 2 {
            run.round();
        }
        run.say(said);
        run.round();
        run.refuses = 0;
        run.operation = cancelled(&run.operation, "token 2", 5);
        let carried_out = run.log.len();
        for _ in 0..20 {
            run.round();
            run.later(Duration::from_secs(1));
        }
        run.say("thawed");
        run.until_it_ends();
        run.ended("cancelled", "c1 east, c2 east", "");
        assert_eq!(run.log[carried_out..], ["wave 3: undrain east"], "{:?}", run.log);
    }
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
fn a_cell_that_is_elected_elsewhere_on_its_way_home_comes_home_from_there() {
    let (mut run, cell, elsewhere) = on_its_way_home();
    run.say(&format!("{cell} is in {elsewhere}"));
    run.until_it_ends();
    run.ended("done", "c1 east, c2 east, c3 east, c4 north", "");
    let home: Vec<_> = run.log.iter().filter(|line| line.contains(&cell)).collect();
    assert_eq!(home, [&format!("wave 1: move {cell} from {elsewhere} to east")]);
}

/// A restore whose first move goes on, with its cell, and a third region it may be elected in.
fn on_its_way_home() -> (Run, String, &'static str) {
    let mut run = after(EMPTIED, "restore east");
    while !run.operation.waves[1][0].is_going() {
        run.round();
    }
    let What::Move(Move { cell, from, .. }) = run.operation.waves[1][0].what.clone() else {
        panic!("{:?} is no move", run.operation.waves[1][0]);
    };
    (run, cell.to_string(), if from.as_str() == "north" { "south" } else { "north" })
}

#[test]
fn a_move_home_that_came_to_nothing_is_not_begun_again_once_it_is_cancelled() {
    let (mut run, cell, elsewhere) = on_its_way_home();
    run.say(&format!("{cell} is in {elsewhere}"));
    run.operation = cancelled(&run.operation, "token 2", 5);
    let before = run.world.active();
    run.until_it_ends();
    run.ended("cancelled", &before, "");
    assert!(run.log.iter().all(|line| !line.contains("move")), "{:?}", run.log);
    let Step { state, .. } = &run.operation.waves[1][0];
    assert_eq!(*state, StepState::Skipped("cancelled".to_owned()));
}

#[test]
fn what_a_person_failed_over_meanwhile_is_not_brought_home() {
    let (mut run, cell, elsewhere) = on_its_way_home();
    run.say(&format!("{cell} was failed over to {elsewhere}"));
    run.until_it_ends();
    assert!(run.log.iter().all(|line| !line.contains(&cell)), "{:?}", run.log);
    assert_eq!(run.operation.status, Status::Done);
    let skipped = StepState::Skipped(format!("failed over to {elsewhere} meanwhile"));
    assert_eq!(run.operation.waves[1][0].state, skipped);

    // Nor where its move has yet to begin.
    let mut run = after(EMPTIED, "restore east");
    run.say("c1 was failed over to south");
    run.until_it_ends();
    run.ended("done", "c1 south, c2 east, c3 east, c4 north", "");

    // What was so when it was asked for is what it is to change.
    let said = "east is drained, c1 was failed over to north, c2 is in south, c3 is in north";
    let mut run = after(said, "restore east");
    run.until_it_ends();
    run.ended("done", "c1 east, c2 east, c3 east, c4 north", "");
}

#[test]
fn a_cell_comes_home_from_elsewhere_once_home_is_ready_and_that_is_not_waited_for_without_end() {
    for follows in [true, false] {
        let (mut run, cell, elsewhere) = on_its_way_home();
        run.say(&format!("{cell} is in {elsewhere}, {cell}@east lags"));
        run.write();
        let waits = run.operation.waits_for.clone().unwrap_or_default();
        assert!(waits.starts_with(&format!("{cell} cannot be moved to east: ")), "{waits}");
        if follows {
            run.say(&format!("{cell}@east follows"));
        }
        run.until_it_ends();
        let home = run.log.iter().filter(|line| line.contains(&cell)).count();
        let found = (run.operation.status.name(), home);
        assert_eq!(found, if follows { ("done", 1) } else { ("failed", 0) }, "{:?}", run.log);
    }
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
    let why = "move c1 from east to north: active in east after 3 attempts: it did not hand over";
    assert_eq!(run.operation.status, Status::Failed(why.to_owned()));
}

/// An operation that begins once something has happened.
fn after(said: &str, goal: &str) -> Run {
    let mut world = World::new(HOMES, 10);
    world.say(said);
    Run::of(world, goal)
}
