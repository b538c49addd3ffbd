use std::collections::BTreeMap;

use super::*;

#[test]
fn the_near_site_is_asked_and_the_far_ones_are_not() {
    let world = after("east: 2 2 2; north: 30 30 30; south: 45 45 45");
    assert_eq!(shares(&world), "east 100");
}

#[test]
fn of_two_that_are_about_as_near_the_less_busy_is_asked() {
    let mut world = after("east: 2; east2: 3; north: 30");
    assert_eq!(shares(&world), "east 100");
    world.nearest.asked(&site("east"));
    assert_eq!(shares(&world), "east2 100");
}

#[test]
fn of_many_near_sites_none_is_asked_by_everybody() {
    let mut world = after("a: 2; b: 2; c: 2; d: 2");
    for draw in 0..400 {
        let chosen = world.nearest.choose(&[], [draw, draw / 4]).unwrap().clone();
        world.nearest.asked(&chosen);
    }
    let loads: Vec<u32> = world.nearest.sites.values().map(|seen| seen.in_flight).collect();
    assert!(loads.iter().all(|load| (95..=105).contains(load)), "{loads:?}");
}

#[test]
fn a_new_site_is_unproven_until_its_first_answer() {
    let mut world = after("east: 40");
    world.offer(&["east", "north"]);
    assert_eq!(shares(&world), "east 100");
    world.saw("north", Outcome::Answered(Duration::from_millis(2)));
    assert_eq!(shares(&world), "north 100");
}

#[test]
fn with_nobody_proven_everybody_may_be_asked() {
    let world = World::of(&["east", "north", "south"]);
    assert_eq!(shares(&world).split(", ").count(), 3);
    assert_eq!(World::of(&[]).choose(&[]), None);
}

#[test]
fn a_site_that_failed_is_left_at_once_and_comes_back_little_by_little() {
    let mut world = after("east: 2 2 2; north: 30 30 30");
    world.saw("east", Outcome::Failed);
    assert_eq!(shares(&world), "north 100");
    world.saw("east", Outcome::Answered(Duration::from_millis(2)));
    assert_eq!(shares(&world), "north 100", "one good answer does not undo the penalty");
    for _ in 0..30 {
        world.passes(1000);
        world.saw("east", Outcome::Answered(Duration::from_millis(2)));
    }
    assert_eq!(shares(&world), "east 100");
}

#[test]
fn one_slow_answer_counts_at_once_and_is_forgotten_slowly() {
    let mut world = after("east: 2 2 2 2; north: 30 30");
    world.saw("east", Outcome::Answered(Duration::from_millis(400)));
    assert_eq!(shares(&world), "north 100");
    world.passes(1000);
    world.saw("east", Outcome::Answered(Duration::from_millis(2)));
    assert_eq!(shares(&world), "north 100");
    for _ in 0..20 {
        world.passes(1000);
        world.saw("east", Outcome::Answered(Duration::from_millis(2)));
    }
    assert_eq!(shares(&world), "east 100");
}

#[test]
fn a_site_that_was_tried_is_not_tried_again_for_the_same_request() {
    let world = after("east: 2; north: 30; south: 45");
    assert_eq!(world.choose(&["east"]), Some(site("north")));
    assert_eq!(world.choose(&["east", "north"]), Some(site("south")));
    assert_eq!(world.choose(&["east", "north", "south"]), None);
}

#[test]
fn an_answer_that_nobody_waited_for_says_nothing() {
    let mut world = after("east: 2; north: 30");
    world.nearest.asked(&site("east"));
    world.saw("east", Outcome::Abandoned);
    assert_eq!(shares(&world), "east 100");
    assert_eq!(world.nearest.sites[&site("east")].in_flight, 0);
}

#[test]
fn the_site_heard_of_longest_ago_is_probed_and_no_other_before_its_time() {
    let mut world = after("east: 2; north: 30");
    let period = Duration::from_secs(1);
    assert_eq!(world.nearest.due(period, world.now), None);
    world.passes(1000);
    assert_eq!(world.nearest.due(period, world.now), Some(&site("east")));
    world.nearest.probed(&site("east"), world.now);
    assert_eq!(world.nearest.due(period, world.now), Some(&site("north")));
    world.saw("north", Outcome::Answered(Duration::from_millis(30)));
    assert_eq!(world.nearest.due(period, world.now), None, "a probe in flight is enough");
    world.offer(&["east", "north", "south"]);
    assert_eq!(world.nearest.due(period, world.now), Some(&site("south")));
}

/// Sites named by region, in virtual time.
struct World {
    nearest: Nearest,
    now: Instant,
}

impl World {
    fn of(regions: &[&str]) -> Self {
        let mut world = Self { nearest: Nearest::default(), now: Instant::now() };
        world.offer(regions);
        world
    }

    fn offer(&mut self, regions: &[&str]) {
        self.nearest.offer(regions.iter().map(|region| site(region)));
    }

    fn passes(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn saw(&mut self, region: &str, outcome: Outcome) {
        self.nearest.ended(&site(region), outcome, self.now);
    }

    fn choose(&self, tried: &[&str]) -> Option<SiteId> {
        let tried: Vec<SiteId> = tried.iter().map(|region| site(region)).collect();
        self.nearest.choose(&tried, [0, 0]).cloned()
    }
}

fn site(region: &str) -> SiteId {
    format!("c1@{region}").parse().unwrap()
}

/// `east: 2 3; north: 30`: sites and their answers' milliseconds.
fn after(answers: &str) -> World {
    let told: BTreeMap<&str, &str> =
        answers.split("; ").filter_map(|site| site.split_once(": ")).collect();
    let mut world = World::of(&told.keys().copied().collect::<Vec<_>>());
    for (region, millis) in told {
        for millis in millis.split(' ') {
            let took = Duration::from_millis(millis.parse().unwrap());
            world.saw(region, Outcome::Answered(took));
        }
    }
    world
}

/// How many of a hundred draws go where.
fn shares(world: &World) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for draw in 0..100 {
        let chosen = world.nearest.choose(&[], [draw, draw / 10]).unwrap();
        *counts.entry(chosen.region.as_str()).or_default() += 1;
    }
    let shares: Vec<String> =
        counts.iter().map(|(site, count)| format!("{site} {count}")).collect();
    shares.join(", ")
}
