//! A run with something of everything: two cells, one of which goes on in another region.

use topology::Epoch;

use super::*;
use crate::course::Tally;
use crate::history::fixture::{again, read, served};
use crate::history::{Effect, Event, Failure, Kind, Operation, Outcome, Served};

/// When the fault takes effect, and when the first user is served again, in milliseconds.
const FAULT: u64 = 14_000;
const SERVED: u64 = 17_200;
const HEALED: u64 = 34_000;

/// Users of both cells ask from 6 s to 46 s, ten times a second; the active site of c1 is lost at 14 s.
pub(super) fn failover() -> Course {
    let c1 = "c1".parse().unwrap();
    let event = |at, name: &str, region: &str, epoch| Event {
        at: ms(at),
        name: name.to_owned(),
        cell: "c1".parse().unwrap(),
        region: Some(region.parse().unwrap()),
        epoch: Epoch(epoch),
        reason: "its lease has not been renewed".to_owned(),
        evidence: "2 of 3 vantages".to_owned(),
    };
    let injection = Injection {
        begun: ms(FAULT),
        ended: ms(FAULT + 10),
        cells: [("c1".parse().unwrap(), Some("east".parse().unwrap()))].into(),
        steps: vec![(ms(FAULT + 10), "killed 30 processes".to_owned())],
        ..course().injections[0].clone()
    };
    Course {
        operations: (0..400).map(operation).collect(),
        events: vec![
            event(FAULT + 2000, "lease-lost", "east", 1),
            event(FAULT + 2020, "electing", "east", 2),
            event(FAULT + 2300, "promoting", "south", 2),
            event(FAULT + 2900, "steady", "south", 2),
        ],
        injections: vec![injection],
        before: [(c1, Tally { epoch: Epoch(1), rebuilt: 0 })].into(),
        healed: Some(ms(HEALED)),
        redundant: Some(ms(HEALED + 2500)),
        ..course()
    }
}

fn operation(number: u32) -> Operation {
    let due = 6000 + u64::from(number) * 100;
    let took = 4 + u64::from(number * 7 % 23) * u64::from(number * 5 % 11);
    if number % 2 == 1 {
        let served = Served { cell: "c2".parse().unwrap(), ..served("north", 4) };
        return Operation { user: 1, served: Some(served), ..ticket(number, due, due + took) };
    }
    let failed = |failure, ended| Operation {
        outcome: Outcome::Fail(failure),
        ..refused(number, due, ended)
    };
    let well = match number % 10 {
        2 | 8 => message(number, due, due + took, u64::from(number)),
        4 => read(number, due, due + took, 1),
        6 => Operation {
            kind: Kind::WeakRead,
            outcome: Outcome::Ok(Effect::Read { version: 1, stale: true }),
            ..read(number, due, due + took, 1)
        },
        _ => ticket(number, due, due + took),
    };
    let in_south = Some(served("south", 2));
    match due {
        0..FAULT => well,
        FAULT..14_400 => failed(Failure::Reset, due + 3),
        14_400..15_000 => Operation {
            outcome: Outcome::Unknown(Failure::Timeout),
            ..refused(number, due, due + 2000)
        },
        15_000..15_400 => failed(Failure::Dropped, due),
        15_400..SERVED => again(
            SERVED - 100,
            Operation { ended: ms(SERVED + due % 700), served: in_south, ..well },
        ),
        _ => Operation { served: in_south, ..well },
    }
}
