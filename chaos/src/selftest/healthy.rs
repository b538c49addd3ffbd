//! The history of a run without defects: cell c1 moves from east to south, and loses one weak write
//! by it, which is reported; its user's stream goes on with the successor. Cell c2 notices nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use topology::{CellId, Epoch, SiteId, Slot};

use crate::course::{
    ConversationRead, Course, DatabaseRead, FinalState, FinalVersion, LostRow, LostWritesRead, Seen,
};
use crate::fault::Injection;
use crate::history::{
    Effect, End, Failure, Kind, Operation, Outcome, Served, Step, StreamStep, User, mark,
};
use crate::ledger::{By, LedgerRead, Noted};
use crate::logs::LogsRead;
use crate::replica::{Contents, Replica, ReplicaRead};

/// When the fault took effect.
pub(super) const MOVED_AT: Duration = Duration::from_secs(10);
/// The message that is lost.
pub(super) const LOST: u32 = 3;

/// The read that shows what the successor acknowledged.
pub(super) const READ: u32 = 12;

pub(super) fn healthy() -> Course {
    let seconds = Duration::from_secs;
    let operations = vec![
        of_other(0, seconds(1)),
        message(1, seconds(2), 1, served("east", 1)),
        ticket(2, seconds(3), served("east", 1)),
        message(LOST, seconds(9), 2, served("east", 1)),
        ticket(4, seconds(12), served("south", 3)),
        of_other(5, seconds(13)),
        refused(6, seconds(11)),
        changed(9, seconds(4), 2, served("east", 1)),
        read(10, seconds(5), 2, served("east", 1)),
        changed(11, seconds(16), 3, served("south", 3)),
        read(READ, seconds(17), 3, served("south", 3)),
        message(7, seconds(14), 2, served("south", 3)),
        ticket(8, seconds(15), served("south", 3)),
    ];
    let injection = Injection {
        kind: "site.kill".to_owned(),
        target: "c1@east".to_owned(),
        cells: [(id("c1"), Some(id("east")))].into(),
        begun: MOVED_AT,
        ended: MOVED_AT,
        ..Injection::default()
    };
    Course {
        users: [("ada", "c1"), ("bob", "c2")].map(user).into(),
        operations,
        streams: stream(),
        injections: vec![injection],
        healed: Some(seconds(20)),
        final_state: final_state(),
        ..Course::default()
    }
}

/// The user's: it breaks before the message that is lost is told, and is opened again after the move.
fn stream() -> Vec<StreamStep> {
    let steps = [
        (1, 500, Step::Asked { after: None }),
        (1, 510, Step::Opened(Some(served("east", 1)))),
        (1, 2005, Step::Heard { seq: 1, id: "msg_1".to_owned(), number: Some(1) }),
        (1, 8990, Step::Ended(End::Failed(Failure::Reset))),
        (2, 9090, Step::Asked { after: Some(1) }),
        (2, 12_000, Step::Opened(Some(served("south", 3)))),
        (2, 14_005, Step::Heard { seq: 2, id: "msg_2".to_owned(), number: Some(7) }),
        (2, 30_000, Step::Ended(End::Stopped)),
    ];
    let step = |(connection, millis, step)| StreamStep {
        user: 0,
        connection,
        at: Duration::from_millis(millis),
        step,
    };
    steps.map(step).into()
}

fn final_state() -> FinalState {
    let rows = |numbers: &[u32]| {
        DatabaseRead::Tickets(numbers.iter().map(|number| (*number, 1)).collect())
    };
    let regions = ["east", "north", "south"];
    let site = |cell, region| SiteId { cell: id(cell), region: id(region) };
    let of_c1 = regions.map(|region| (site("c1", region), rows(&[2, 4, 8])));
    let of_c2 = regions.map(|region| (site("c2", region), rows(&[0, 5])));
    let kept = regions.map(|region| (site("c1", region), [(0, 3)].into()));
    let lost = LostRow { number: LOST, region: id("east"), epoch: Epoch(1) };
    let reported = |rows| LostWritesRead::Reported { rows, gaps: Vec::new() };
    let sites = || regions.into_iter().flat_map(move |r| [site("c1", r), site("c2", r)]);
    FinalState {
        through_router: [0, 2, 4, 5, 8].map(|number| (number, Seen::There)).into(),
        databases: of_c1.into_iter().chain(of_c2).collect(),
        versions: [(0, FinalVersion::Is(3))].into(),
        versions_in: kept.into(),
        ledger: sites().map(|site| (site.clone(), ledger(&site.cell))).collect(),
        replicas: sites().map(|site| (site.clone(), replica(&site))).collect(),
        logs: Some(LogsRead::Read { grave: Vec::new(), gaps: Vec::new() }),
        conversations: [(0, ConversationRead::Messages(vec![(1, 1), (2, 7)]))].into(),
        lost_writes: BTreeMap::from([
            (id("c1"), reported(vec![lost])),
            (id("c2"), reported(Vec::new())),
        ]),
        doubts: None,
    }
}

/// What a cell's databases have noted of everything that is left.
fn ledger(cell: &CellId) -> LedgerRead {
    let east = [1, 2, 9].map(|number| (number, "ada", ("c1@east", 1)));
    let south = [4, 7, 8, 11].map(|number| (number, "ada", ("c1@south", 3)));
    let north = [0, 5].map(|number| (number, "bob", ("c2@north", 4)));
    let rows = east.into_iter().chain(south).chain(north).zip(1..);
    let noted = rows.map(|((number, user, (site, epoch)), lsn)| Noted {
        by: Some(By { lsn, epoch: Epoch(epoch), site: id(site) }),
        key: mark("run", number),
        number: Some(number),
        slot: Slot::of(user).number(),
        payload: "0a".to_owned(),
    });
    let is_of = |row: &Noted| row.by.as_ref().is_some_and(|by| by.site.cell == *cell);
    LedgerRead::Rows(noted.filter(is_of).collect())
}

fn replica(site: &SiteId) -> ReplicaRead {
    let is_primary = ["c1@south", "c2@north"].contains(&site.to_string().as_str());
    let tickets = Contents { rows: 4, checksum: "c0ffee00c0ffee00".to_owned() };
    let tables = [("tickets".to_owned(), tickets)].into();
    ReplicaRead::Is(Replica { is_primary, timeline: 2, tables })
}

fn user((name, cell): (&str, &str)) -> User {
    User { name: name.to_owned(), slot: Slot::of(name), cell: id(cell) }
}

fn ticket(number: u32, sent: Duration, served: Served) -> Operation {
    Operation {
        number,
        kind: Kind::Ticket,
        user: 0,
        from: None,
        tries: 1,
        intended: sent,
        sent,
        last_try: Duration::ZERO,
        ended: sent + Duration::from_millis(8),
        outcome: Outcome::Ok(Effect::Ticket { id: format!("tkt_{number}") }),
        served: Some(served),
    }
}

fn message(number: u32, sent: Duration, seq: u64, served: Served) -> Operation {
    let outcome = Outcome::Ok(Effect::Message { seq });
    Operation { kind: Kind::Message, outcome, ..ticket(number, sent, served) }
}

/// The ticket that the user keeps is moved on to a version.
fn changed(number: u32, sent: Duration, version: u64, served: Served) -> Operation {
    let outcome = Outcome::Ok(Effect::Changed { version });
    let from = version.checked_sub(1);
    Operation { kind: Kind::Transition, from, outcome, ..ticket(number, sent, served) }
}

fn read(number: u32, sent: Duration, version: u64, served: Served) -> Operation {
    let outcome = Outcome::Ok(Effect::Read { version, stale: false });
    Operation { kind: Kind::StrongRead, outcome, ..ticket(number, sent, served) }
}

/// A ticket of the user whose cell is not hit.
fn of_other(number: u32, sent: Duration) -> Operation {
    let served = Served { cell: id("c2"), ..self::served("north", 4) };
    Operation { user: 1, ..ticket(number, sent, served) }
}

fn refused(number: u32, sent: Duration) -> Operation {
    let outcome = Outcome::Fail(Failure::Refused);
    Operation { outcome, served: None, ..ticket(number, sent, served("east", 1)) }
}

pub(super) fn served(region: &str, epoch: u64) -> Served {
    Served { cell: id("c1"), region: id(region), epoch: Epoch(epoch), replayed: false }
}

/// The ids of this page are right.
fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("an id of this page is an id")
}
