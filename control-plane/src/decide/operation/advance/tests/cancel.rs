//! What is told of a cancellation is what comes of it.

use std::collections::BTreeMap;

use super::*;

/// What goes on in which world, and what is seen in it before it is cancelled.
const TABLE: &str = "
    evacuate east        |                                    |
    evacuate east        |                                    | east is a target
    evacuate east        |                                    | frozen
    evacuate east        |                                    | c1 is in north, c2 is in south
    evacuate east        |                                    | c1 is electing
    evacuate east        | east is drained                    |
    restore east         | east is drained, c1 is in north    |
    restore east         | east is drained, c1 is in north    | c1 is in south
    restore east         | east is drained, c1 is in north    | c1 was failed over to south
    restore east         | east is drained, c1 is in north, c2 is in south, c3 is in north | frozen
    drain east           |                                    |
    undrain east         | east is drained                    |
    retire-site c1@south |                                    |
    retire-site c1@south | c1@south is kept out               |
    retire-site c1@south |                                    | frozen
    retire-site c1@south |                                    | c1 is in south
    add-site c1@south    | c1@south is kept out, c1@south has left |
    add-site c1@south    | c1@south is kept out, c1@south has left | frozen
    switchover c1@south  |                                    |
    switchover c1@south  |                                    | frozen
    switchover c1@south  |                                    | c1 is in north
    failover c1@south    | east is down                       |
    failover c1@south    | east is down                       | frozen
    failover c1@south    | east is down                       | c1 is in north
    force c1@south       | east is down                       |
    force c1@south       | east is down                       | c1 is electing
";

#[test]
fn at_every_point_of_every_operation_it_comes_as_is_told() {
    for line in TABLE.lines().filter(|line| line.contains('|')) {
        let words: Vec<&str> = line.split('|').map(str::trim).collect();
        for nobody_leaves_or_joins in [false, true] {
            for rounds in 0.. {
                let mut run = begun(words[0], words[1]);
                run.nobody_leaves_or_joins = nobody_leaves_or_joins;
                for _ in 0..rounds {
                    run.round();
                    run.later(Duration::from_millis(500));
                }
                if run.operation.status.has_ended() || rounds == 60 {
                    break;
                }
                run.say(words[2]);
                comes_as_told(run, &format!("{line}, after {rounds} rounds"));
            }
        }
    }
}

/// The steps that are told of: each with its state, and what becomes of it.
fn told(run: &Run) -> Vec<String> {
    let fates = run.fates();
    let told = fates.into_iter().map(|((wave, index), fate)| {
        let Step { what, state } = &run.operation.waves[wave][index];
        format!("{} {what}: {fate:?}", state.name())
    });
    told.collect()
}

#[test]
fn each_goal_in_words() {
    let mut run = begun("switchover c1@south", "");
    assert_eq!(told(&run), ["going move c1 from east to south: LeftOut"]);
    run.carry_out((0, 0));
    assert_eq!(told(&run), ["going move c1 from east to south: BroughtToItsEnd"]);

    let run = begun("failover c1@south", "east is down");
    assert_eq!(told(&run), ["going fail c1 over to south: LeftOut"]);

    for (goal, said, step, back) in [
        ("retire-site c1@south", "", "retire c1@south", "TakenBack"),
        (
            "add-site c1@south",
            "c1@south is kept out, c1@south has left",
            "add c1@south",
            "TakenBack",
        ),
        ("drain east", "", "drain east", "TakenBack"),
        ("undrain east", "east is drained", "undrain east", "BroughtToItsEnd"),
    ] {
        let mut run = begun(goal, said);
        assert_eq!(told(&run), [format!("waiting {step}: LeftOut")]);
        run.write();
        assert_eq!(told(&run), [format!("going {step}: {back}")]);
    }

    let mut run = Run::new(HOMES, "evacuate east");
    while run.operation.wave() != Some(1) {
        run.round();
    }
    let mut all = [
        "done drain east: TakenBack",
        "waiting move c3 from east to south: LeftOut",
        "waiting move c1 from east to north: LeftOut",
        "waiting move c2 from east to south: LeftOut",
    ];
    assert_eq!(told(&run), all);
    run.write();
    all[1] = "going move c3 from east to south: BroughtToItsEnd";
    assert_eq!(told(&run), all);
    // Somebody else has made it a target again.
    run.say("east is a target");
    assert_eq!(told(&run), all[1..]);
    run.operation = cancelled(&run.operation, "token 2", 5);
    assert_eq!(told(&run), [""; 0]);
}

#[test]
fn a_move_home_that_came_to_nothing_is_told_as_left_out() {
    let (mut run, cell, elsewhere) = on_its_way_home();
    run.say(&format!("{cell} is in {elsewhere}"));
    assert_eq!(run.fates()[0], ((1, 0), Fate::LeftOut));
    comes_as_told(run, "restore east");
}

#[test]
fn what_is_taken_back_already_is_not_told_again_and_has_failed_all_the_same() {
    let mut run = begun("retire-site c1@south", "");
    run.nobody_leaves_or_joins = true;
    while run.operation.status != Status::Undoing {
        run.round();
        run.later(Duration::from_secs(1));
    }
    assert_eq!(told(&run), [""; 0]);
    assert_eq!(cancelled(&run.operation, "token 2", 5), run.operation);
}

/// An operation as it is written down: one that moves one cell goes on from the start.
fn begun(goal: &str, said: &str) -> Run {
    // Five cells leave a region in waves of one, two and two.
    let mut world = World::new("east east east east east north", 10);
    world.say(said);
    let mut run = Run::of(world, goal);
    if run.operation.is_one_move() {
        run.operation = run.operation.under_way(1);
    }
    run
}

#[track_caller]
fn comes_as_told(mut run: Run, context: &str) {
    let told: BTreeMap<_, _> = run.fates().into_iter().collect();
    let before = run.operation.clone();
    run.operation = cancelled(&run.operation, "token 2", 5);
    // Whoever goes on knows no more than who looks ahead.
    run.memory = Memory::default();
    let logged = run.log.len();
    run.until_it_ends();
    let inverse = run.operation.waves.get(before.waves.len()).map(|wave| wave[0].what.clone());
    for (wave, steps) in before.waves.iter().enumerate() {
        for (index, step) in steps.iter().enumerate() {
            let after = &run.operation.waves[wave][index];
            let is_taken_back = match (&step.what, &inverse) {
                (What::Drain(region), Some(What::Undrain(back))) => region == back,
                (What::Retire(site), Some(What::Add(back)))
                | (What::Add(site), Some(What::Retire(back))) => site == back,
                _ => false,
            };
            let came = match (&step.state, &after.state) {
                // Its cell has left by itself.
                (StepState::Going { .. }, StepState::Skipped(why)) if why != CANCELLED => {
                    Some(Fate::BroughtToItsEnd)
                }
                (StepState::Waiting | StepState::Going { .. }, StepState::Skipped(_)) => {
                    let line = format!(": {}", step.what);
                    let done = run.log[logged..].iter().any(|logged| logged.ends_with(&line));
                    assert!(!done, "{context}: {} was left out: {:?}", step.what, run.log);
                    Some(Fate::LeftOut)
                }
                _ if is_taken_back => Some(Fate::TakenBack),
                (StepState::Going { .. }, _) => Some(Fate::BroughtToItsEnd),
                _ => None,
            };
            assert_eq!(told.get(&(wave, index)), came.as_ref(), "{context}: {}", step.what);
        }
    }
}
