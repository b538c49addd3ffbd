use topology::wire::cause::CauseRecord;

use super::*;
use crate::course::Tally;
use crate::drill::Choice;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An epoch that was opened at this second, twenty after it had begun, where, and by what.
fn record(epoch: u64, at: u64, active: &str, cause: &str) -> HistoryRecord {
    let cause =
        (!cause.is_empty()).then(|| CauseRecord { kind: cause.to_owned(), operation: None });
    HistoryRecord {
        epoch,
        active: active.to_owned(),
        begun_unix_ms: (at - 20) * 1000,
        opened_unix_ms: at * 1000,
        cause,
        reason: String::new(),
        vantage: "east".to_owned(),
    }
}

/// At second 1000, under the last of these epochs.
#[track_caller]
fn check(records: &[HistoryRecord], open: u64, moved: Option<u64>) {
    let found = tenure(records, Epoch(records[0].epoch), 1_000_000);
    let expected = Tenure { open: seconds(open), moved: moved.map(seconds) };
    assert_eq!(found, Some(expected));
}

#[test]
fn a_first_start_and_an_epoch_in_place_are_no_moves() {
    let first = || record(1, 900, "east", "");
    check(&[first()], 100, None);
    check(&[record(2, 970, "east", "came-back"), first()], 30, None);
}

#[test]
fn a_move_and_an_election_are_whatever_followed_in_place() {
    let first = || record(1, 100, "east", "");
    let moved = |cause| record(3, 700, "south", cause);
    check(&[moved("switchover"), first()], 300, Some(300));
    check(&[moved(""), first()], 300, Some(300));
    check(&[record(4, 800, "south", "came-back"), moved("site-gray"), first()], 200, Some(300));
    check(&[record(3, 700, "east", "site-lost"), first()], 300, Some(300));
}

#[test]
fn of_an_epoch_that_is_not_written_down_nothing_is_known() {
    assert_eq!(tenure(&[record(1, 900, "east", "")], Epoch(2), 1_000_000), None);
    assert_eq!(tenure(&[], Epoch(1), 1_000_000), None);
}

fn cells() -> Vec<Cell> {
    let cell = |id: &str, active: &str| Cell {
        id: id.parse().unwrap(),
        active: active.parse().ok(),
        standbys: Vec::new(),
        redundant: true,
        phase: "steady".to_owned(),
        tally: Tally { epoch: Epoch(1), rebuilt: 0 },
    };
    vec![cell("c1", "east"), cell("c2", "north"), cell("c3", "south")]
}

fn moved(ago: [Option<u64>; 3]) -> BTreeMap<CellId, Tenure> {
    let tenures = ago.map(|ago| Tenure { open: seconds(90), moved: ago.map(seconds) });
    cells().into_iter().map(|cell| cell.id).zip(tenures).collect()
}

fn slow(cell: Choice<CellId>) -> Fault {
    Fault::SiteSlow { cell, by: seconds(1) }
}

#[test]
fn whom_the_seed_names_is_hit_unless_it_was_moved_within_ten_minutes() {
    let fault = slow(Choice::Auto);
    let (seed, named) = aim(&fault, &cells(), &moved([None; 3]), 7, SEEDS).unwrap();
    assert_eq!(seed, 7);
    let ago = |lately| {
        let ago = cells().into_iter().map(|cell| (named == [cell.id]).then_some(lately));
        let ago: Vec<Option<u64>> = ago.collect();
        aim(&fault, &cells(), &moved([ago[0], ago[1], ago[2]]), 7, SEEDS).unwrap()
    };
    assert_eq!(ago(600), (7, named.clone()));
    let (seed, other) = ago(599);
    assert!(seed > 7 && other != named);
    // Whoever runs the drill with that seed hits the same.
    let again = aim(&fault, &cells(), &moved([None; 3]), seed, 1);
    assert_eq!(again, Ok((seed, other)));
}

#[test]
fn where_nobody_may_be_moved_it_is_said_when_somebody_may() {
    let one = slow(Choice::Named("c1".parse().unwrap()));
    let told = "c1 was moved 200 s ago, and control planes leave a cell for 600 s where it was \
                moved to; begin again in 401 s";
    let found = aim(&one, &cells(), &moved([Some(200), None, None]), 1, SEEDS);
    assert_eq!(found, Err(told.to_owned()));
    let any = aim(&slow(Choice::Auto), &cells(), &moved([Some(9), Some(500), Some(7)]), 1, SEEDS);
    assert!(any.unwrap_err().ends_with("begin again in 101 s"));
}

#[test]
fn of_a_region_nobody_was_moved_lately() {
    let mut cells = cells();
    cells[1].active = cells[0].active.clone();
    let east = Choice::Named("east".parse().unwrap());
    let fault = Fault::Evacuate { region: east };
    let (seed, hit) = aim(&fault, &cells, &moved([None, Some(600), Some(1)]), 1, SEEDS).unwrap();
    assert_eq!((seed, hit), (1, vec![cells[0].id.clone(), cells[1].id.clone()]));
    let found = aim(&fault, &cells, &moved([Some(500), Some(200), None]), 1, SEEDS);
    let told = "c1 was moved 500 s ago, c2 was moved 200 s ago, and control planes leave a cell \
                for 600 s where it was moved to; begin again in 401 s";
    assert_eq!(found, Err(told.to_owned()));
}

#[test]
fn an_epoch_is_known_for_as_long_as_a_control_plane_has_run() {
    let process = |role, start_time| topology::wire::fleet::FleetProcess {
        name: String::new(),
        role,
        region: None,
        cell: None,
        pid: Some(1),
        start_time,
        restarts: 0,
        address: None,
        log: String::new(),
    };
    let fleet = |processes| Fleet {
        supervisor: 1,
        spec: String::new(),
        processes,
        namespaces: BTreeMap::new(),
        inits: BTreeMap::new(),
    };
    let now = BootTime::from_nanos(100_000_000_000);
    let fleet_of = fleet(vec![
        process(FleetRole::Etcd, Some(100)),
        process(FleetRole::ControlPlane, Some(9_500)),
        process(FleetRole::ControlPlane, Some(7_000)),
        process(FleetRole::ControlPlane, None),
    ]);
    assert_eq!(watched(&fleet_of, now), seconds(30));
    assert_eq!(watched(&fleet(Vec::new()), now), Duration::ZERO);
}
