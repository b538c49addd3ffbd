use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use topology::Spec;
use topology::wire::wan::{Cut, Policy as Written, Way as WrittenWay};

use super::*;

const SPEC: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.1.0.0/16}
  - {id: north, name: 华北, network: 127.2.0.0/16}
  - {id: south, name: 华南, network: 127.3.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 1}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
wan:
  edge: 127.100.0.0/16
  lines:
    - {between: [east, north], delay: 20ms, jitter: 0ms}
    - {between: [east, south], delay: 40ms, jitter: 4ms}
    - {between: [north, south], delay: 80ms, jitter: 8ms}
    - {between: [edge, east], delay: 5ms, jitter: 0ms}
    - {between: [edge, north], delay: 20ms, jitter: 0ms}
    - {between: [edge, south], delay: 40ms, jitter: 0ms}
";

/// The WAN in virtual time, with chance from a seed.
struct World {
    ways: Ways,
    random: StdRng,
    now: Duration,
}

#[test]
fn a_packet_takes_as_long_as_its_way() {
    let mut world = World::new(1);
    assert_eq!(world.send("east", "north"), Fate::Leaves(ms(20)));
    assert_eq!(world.send("edge", "east"), Fate::Leaves(ms(5)));
    world.now = ms(1000);
    assert_eq!(world.send("north", "east"), Fate::Leaves(ms(1020)));
}

#[test]
fn jitter_stays_within_its_bounds_and_no_packet_overtakes_another() {
    let mut world = World::new(2);
    let mut last = Duration::ZERO;
    let mut times = Vec::new();
    for sent in 0..500 {
        world.now = ms(sent * 10);
        let Fate::Leaves(at) = world.send("east", "south") else { panic!("dropped") };
        assert!(at >= last, "{at:?} is before {last:?}");
        last = at;
        times.push(at.saturating_sub(world.now));
    }
    assert!(times.iter().all(|time| (ms(36)..=ms(44)).contains(time)));
    assert!(times.iter().any(|time| *time < ms(38)) && times.iter().any(|time| *time > ms(42)));
}

#[test]
fn what_is_cut_one_way_still_goes_the_other_way_until_its_time_is_over() {
    let mut world = World::new(3);
    world.set(Written { cut: Some(Cut::All), ..from_to("east", "north") });
    assert_eq!(world.send("east", "north"), Fate::Dropped);
    assert_eq!(world.send("north", "east"), Fate::Leaves(ms(20)));
    world.now = ms(9_999);
    assert_eq!(world.send("east", "north"), Fate::Dropped);
    world.now = ms(10_000);
    assert_eq!(world.send("east", "north"), Fate::Leaves(ms(10_020)));
    assert_eq!(world.ways.policies.list(world.now), []);
}

#[test]
fn a_cut_of_connects_lets_open_connections_go_on() {
    let mut world = World::new(4);
    world.set(Written { cut: Some(Cut::Connects), ..from_to("east", "north") });
    let opens = Packet { opens: true, ..PACKET };
    assert_eq!(world.send_this("east", "north", &opens), Fate::Dropped);
    assert_eq!(world.send("east", "north"), Fate::Leaves(ms(20)));
    assert_eq!(world.send_this("north", "east", &opens), Fate::Leaves(ms(20)));
}

#[test]
fn a_policy_for_a_port_leaves_the_others_alone() {
    let mut world = World::new(5);
    world.set(Written { cut: Some(Cut::All), ports: vec![5432], ..from_to("east", "north") });
    let to_postgres = Packet { ports: Some([40_000, 5432]), ..PACKET };
    let from_postgres = Packet { ports: Some([5432, 40_000]), ..PACKET };
    assert_eq!(world.send_this("east", "north", &to_postgres), Fate::Dropped);
    assert_eq!(world.send_this("east", "north", &from_postgres), Fate::Dropped);
    assert_eq!(world.send("east", "north"), Fate::Leaves(ms(20)));
    assert_eq!(world.send_this("east", "north", &Packet { ports: None, ..PACKET }), leaves(20));
}

#[test]
fn delays_of_several_policies_add_up_and_lifting_one_leaves_the_other() {
    let mut world = World::new(6);
    world.set(Written { id: "a".to_owned(), delay_ms: 100, ..from_to("east", "north") });
    world.set(Written { id: "b".to_owned(), delay_ms: 200, ..from_to("east", "north") });
    assert_eq!(world.send("east", "north"), leaves(320));
    world.now = ms(1000);
    world.ways.policies.lift("b");
    assert_eq!(world.send("east", "north"), leaves(1120));
}

#[test]
fn loss_and_duplication_are_about_as_often_as_asked_for() {
    let mut world = World::new(7);
    world.set(Written { loss: 0.2, duplicate: 0.1, ..from_to("east", "north") });
    let fates: Vec<Fate> = (0..10_000).map(|_| world.send("east", "north")).collect();
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    let dropped = count(|fate| *fate == Fate::Dropped);
    let twice = count(|fate| matches!(fate, Fate::LeavesTwice(..)));
    assert!((1800..2200).contains(&dropped), "{dropped} of 10000");
    assert!((650..950).contains(&twice), "{twice} of 10000");
    let [force] = &world.ways.policies.list(world.now)[..] else { panic!("one is in force") };
    assert_eq!((force.packets, force.dropped), (10_000, dropped as u64));
}

#[test]
fn a_reordered_packet_overtakes_those_on_their_way() {
    let mut world = World::new(8);
    assert_eq!(world.send("east", "north"), leaves(20));
    world.set(Written { reorder: 1.0, ..from_to("east", "north") });
    world.now = ms(1);
    assert_eq!(world.send("east", "north"), leaves(1));
    world.ways.policies.lift("p");
    assert_eq!(world.send("east", "north"), leaves(21));
}

#[test]
fn at_a_rate_packets_wait_their_turn_and_too_many_are_dropped() {
    let mut world = World::new(9);
    // A packet of 1000 bytes takes 8 ms.
    world.set(Written { rate_kbit: Some(1000), ..from_to("east", "north") });
    let fates: Vec<Fate> = (0..40).map(|_| world.send("east", "north")).collect();
    assert_eq!(fates[..3], [leaves(20), leaves(28), leaves(36)]);
    assert_eq!(fates[31], leaves(20 + 31 * 8));
    assert_eq!(fates[32], Fate::Dropped);
    let traffic = world.ways.traffic();
    let way = traffic.iter().find(|way| way.from == "east" && way.to == "north").unwrap();
    assert_eq!((way.packets, way.dropped, way.overflowed), (40, 0, 8));
}

#[test]
fn what_nobody_takes_away_at_the_end_of_a_way_fills_it() {
    let mut world = World::new(10);
    let large = Packet { bytes: 16 * 1024 * 1024, ..PACKET };
    assert_eq!(world.send_this("east", "north", &large), leaves(20));
    assert_eq!(world.send_this("east", "north", &large), leaves(20));
    assert_eq!(world.send("east", "north"), Fate::Dropped);
    let (east, north) = (world.end("east"), world.end("north"));
    world.ways.left(east, north, large.bytes);
    assert_eq!(world.send("east", "north"), leaves(20));
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let fates = |seed| {
        let mut world = World::new(seed);
        world.set(Written { loss: 0.3, delay_ms: 9, jitter_ms: 9, ..from_to("east", "south") });
        (0..200).map(|_| world.send("east", "south")).collect::<Vec<_>>()
    };
    assert_eq!(fates(11), fates(11));
    assert_ne!(fates(11), fates(12));
}

#[test]
fn every_mistake_of_a_policy_is_told_at_once() {
    let world = World::new(12);
    let written = Written {
        id: "A b".to_owned(),
        ways: vec![WrittenWay { from: Some("west".to_owned()), to: None }],
        ttl_ms: 0,
        jitter_ms: 5,
        loss: 1.5,
        rate_kbit: Some(0),
        ..Written::default()
    };
    assert_eq!(
        Policy::read(written, world.ways.ends()).unwrap_err(),
        [
            "id: expected 1 to 100 of a-z, 0-9, -, _, . and @",
            "ttl-ms: expected 1 to 900000, which is 15 minutes",
            "jitter-ms: expected at most delay-ms",
            "loss: expected a share from 0 to 1",
            "rate-kbit: expected 1 to 100000000",
            "ways[0].from: expected one of edge, east, north, south",
        ]
    );
    let idle = Policy::read(from_to("east", "north"), world.ways.ends()).unwrap_err();
    assert_eq!(idle, ["it does nothing: say cut, delay-ms, loss, duplicate, reorder or rate-kbit"]);
}

#[test]
fn there_is_an_end_to_how_many_policies_are_in_force() {
    let mut world = World::new(13);
    for number in 0..64 {
        world.set(Written { id: format!("p{number}"), delay_ms: 1, ..from_to("east", "north") });
    }
    let one = |id: &str| Written { id: id.to_owned(), delay_ms: 1, ..from_to("east", "north") };
    let read = |written| Policy::read(written, world.ways.ends()).unwrap();
    let (more, known) = (read(one("p64")), read(one("p7")));
    assert!(world.ways.policies.set(more.clone(), world.now).is_err());
    assert_eq!(world.ways.policies.set(known, world.now), Ok(()));
    assert_eq!(world.ways.policies.set(more, ms(10_000)), Ok(()));
}

const PACKET: Packet =
    Packet { from: [127, 1], to: [127, 2], bytes: 1000, ports: Some([40_000, 8000]), opens: false };

impl World {
    fn new(seed: u64) -> Self {
        let wan = Spec::parse(SPEC).unwrap().wan.unwrap();
        let (ways, random) = (Ways::new(&wan), StdRng::seed_from_u64(seed));
        Self { ways, random, now: Duration::ZERO }
    }

    #[track_caller]
    fn set(&mut self, written: Written) {
        let policy = Policy::read(written, self.ways.ends()).unwrap();
        self.ways.policies.set(policy, self.now).unwrap();
    }

    fn send(&mut self, from: &str, to: &str) -> Fate {
        self.send_this(from, to, &PACKET)
    }

    fn send_this(&mut self, from: &str, to: &str, packet: &Packet) -> Fate {
        let (from, to) = (self.end(from), self.end(to));
        let random = &mut self.random;
        self.ways.enter(from, to, packet, self.now, &mut || random.random())
    }

    fn end(&self, name: &str) -> EndId {
        self.ways.ends().iter().position(|end| end.to_string() == name).unwrap()
    }
}

/// In force for 10 seconds.
fn from_to(from: &str, to: &str) -> Written {
    let way = WrittenWay { from: Some(from.to_owned()), to: Some(to.to_owned()) };
    Written { id: "p".to_owned(), ways: vec![way], ttl_ms: 10_000, ..Written::default() }
}

fn leaves(at: u64) -> Fate {
    Fate::Leaves(ms(at))
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
