use super::*;
use crate::decide::safety::world::World;

#[test]
fn a_region_is_emptied_one_cell_first_into_the_emptiest_regions() {
    check(
        "east east east north",
        6,
        "",
        "evacuate east",
        "drain east | move c3 from east to south | move c1 from east to north | \
         move c2 from east to south",
        "",
    );
}

#[test]
fn cells_come_home_and_nothing_else_moves() {
    check(
        "east east north",
        6,
        "east is drained, c1 is in north, c2 is in south",
        "restore east",
        "undrain east | move c1 from north to east | move c2 from south to east",
        "",
    );
}

#[test]
fn a_drained_region_is_never_a_target() {
    check(
        "east north north",
        6,
        "south is drained",
        "evacuate east",
        "drain east | move c1 from east to north",
        "second-region: south is drained",
    );
}

#[test]
fn no_second_region_is_emptied_while_one_is_down() {
    check(
        "north",
        6,
        "east is down",
        "evacuate south",
        "drain south",
        "second-region: east is down: none of its sites answers",
    );
}

#[test]
fn a_cell_that_can_go_nowhere_stops_the_plan() {
    check(
        "east north",
        6,
        "c1@north lags, south is down",
        "evacuate east",
        "drain east",
        "second-region: south is down: none of its sites answers; no-ready-site: c1 can go nowhere \
         from east: north is 18446744073709551615 bytes behind, more than 1048576; the agent in \
         south does not answer",
    );
    check(
        "east",
        6,
        "c1@north lags",
        "evacuate east",
        "drain east | move c1 from east to south",
        "",
    );
}

#[test]
fn a_cell_that_is_moving_is_not_planned_with() {
    check(
        "east",
        6,
        "c1 is electing",
        "restore east",
        "undrain east",
        "no-ready-site: c1 is electing: it cannot be moved now",
    );
}

#[test]
fn a_fifth_of_the_capacity_stays_free() {
    let moves = "drain east | move c1 from east to north";
    check(
        "east north north north",
        5,
        "",
        "evacuate east",
        "drain east | move c1 from east to south",
        "",
    );
    check(
        "east north south",
        2,
        "",
        "evacuate east",
        moves,
        "no-headroom: north would carry 2 of its capacity 2, which leaves 0 %, less than 20 %",
    );
    // Four of five leave exactly so much.
    check("east north north north south south south", 5, "", "evacuate east", moves, "");
}

#[test]
fn what_another_operation_has_yet_to_move_takes_up_room() {
    let mut world = World::new("east north", 2);
    world.say("c2 is in south");
    let now = Instant::now();
    let broken = |world: &World| {
        let plan = plan(&goal_of("restore north"), &world.state(now), &world.spec, now);
        plan.broken.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(broken(&world), [""; 0]);
    let evacuate = world.operation("evacuate east", now);
    assert_eq!(evacuate.waves[1][0].what.to_string(), "move c1 from east to north");
    world.goes_on(evacuate);
    let short = "north would carry 2 of its capacity 2, which leaves 0 %, less than 20 %";
    assert_eq!(broken(&world), [short]);
}

#[test]
fn a_region_is_drained_without_a_move_and_becomes_a_target_again_so() {
    check("east east north", 6, "", "drain east", "drain east", "");
    check(
        "east east north",
        6,
        "east is drained, c1 is in north",
        "undrain east",
        "undrain east",
        "",
    );
    check(
        "east",
        6,
        "north is drained",
        "drain east",
        "drain east",
        "second-region: north is drained",
    );
}

#[test]
fn a_cell_keeps_a_ready_site_when_one_is_kept_out() {
    let retire = |said: &str, site: &str, broken: &str| {
        check("east", 6, said, &format!("retire-site {site}"), &format!("retire {site}"), broken);
    };
    retire("", "c1@south", "");
    retire("c1@south lags", "c1@south", "");
    retire("c1@south is kept out", "c1@south", "");
    retire("", "c1@east", "no-ready-site: c1 is active in east: move it first");
    retire("c1 is electing", "c1@south", "no-ready-site: c1 is electing: nobody can leave it now");
    let needs = "no-ready-site: c1 would be left with 0 standbys that vote, and needs 1";
    retire("c1@north has left", "c1@south", needs);
    retire("c1@north is kept out", "c1@south", needs);
    let unready = "no-ready-site: c1 would be left without a ready site";
    retire("north is drained", "c1@south", &format!("{unready}: north is drained"));
    retire("north is down", "c1@south", &format!("{unready}: the agent in north does not answer"));
}

#[test]
fn a_site_that_is_kept_out_is_no_target() {
    check(
        "east",
        6,
        "c1@north is kept out",
        "evacuate east",
        "drain east | move c1 from east to south",
        "",
    );
    check("east", 6, "c1@north is kept out", "add-site c1@north", "add c1@north", "");
}

#[test]
fn a_freeze_stops_every_plan() {
    check(
        "east",
        6,
        "frozen",
        "evacuate east",
        "drain east | move c1 from east to north",
        "frozen: token 1 said so: nobody moves",
    );
    check(
        "east",
        6,
        "frozen, thawed",
        "evacuate east",
        "drain east | move c1 from east to north",
        "",
    );
}

#[track_caller]
fn check(homes: &str, capacity: u32, said: &str, goal: &str, steps: &str, broken: &str) {
    let mut world = World::new(homes, capacity);
    world.say(said);
    let now = Instant::now();
    let goal = goal_of(goal);
    let plan = plan(&goal, &world.state(now), &world.spec, now);
    let found: Vec<String> = plan.waves.iter().flatten().map(ToString::to_string).collect();
    let rules = plan.broken.iter().map(|broken| format!("{}: {broken}", broken.rule.code()));
    let rules = rules.collect::<Vec<_>>().join("; ");
    assert_eq!((found.join(" | ").as_str(), rules.as_str()), (steps, broken));
}

pub(in crate::decide) fn goal_of(text: &str) -> Goal {
    let (kind, name) = text.split_once(' ').unwrap();
    let failover = |accept_data_loss| {
        let (cell, to) = name.split_once('@').map_or((name, None), |(cell, to)| (cell, Some(to)));
        let to = to.map(|to| to.parse().unwrap());
        Goal::Failover { cell: cell.parse().unwrap(), to, accept_data_loss }
    };
    match kind {
        "failover" => return failover(false),
        "force" => return failover(true),
        "retire-site" => return Goal::RetireSite(name.parse().unwrap()),
        "add-site" => return Goal::AddSite(name.parse().unwrap()),
        "switchover" => return Goal::Switchover(name.parse().unwrap()),
        _ => {}
    }
    let region = name.parse().unwrap();
    match kind {
        "evacuate" => Goal::Evacuate(region),
        "restore" => Goal::Restore(region),
        "drain" => Goal::Drain(region),
        "undrain" => Goal::Undrain(region),
        other => panic!("{other:?} is no goal"),
    }
}
