//! Whom to hit, where a drill claims that control planes move a cell which serves: one that they would move.
//!
//! They leave a cell alone whose epoch they have known for less than a minute, and one that was moved within
//! ten (`SETTLED` and `MOVED` of `control-plane/src/decide/automatic.rs`). The former is waited for; of the
//! latter another cell is hit instead, or none.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::{BootTime, unix_millis};
use tokio::time::{Instant, sleep};
use topology::wire::fleet::{Fleet, FleetRole};
use topology::wire::history::HistoryRecord;
use topology::{CellId, Epoch};

use super::Run;
use crate::control_plane::{Cell, ControlPlane};
use crate::drill::Fault;
use crate::fault::settle;
use crate::history::User;

/// For so long an epoch has to have been known.
const SETTLED: Duration = Duration::from_mins(1);
/// For so long a cell stays where it was moved to.
const MOVED: Duration = Duration::from_mins(10);
/// All that is waited for, and what it takes to write down and to read that it is over.
const WAIT: Duration = Duration::from_secs(70);
const PAUSE: Duration = Duration::from_millis(500);
/// Seeds tried for a cell that may be moved: with three, each is missed with a chance of less than 10⁻⁴⁴.
const SEEDS: u64 = 256;
/// Epochs that begin where the cell was, and without an election.
const IN_PLACE: [&str; 2] = ["came-back", "etcd-went-back"];
/// What the kernel counts a process's start in, whatever the machine.
const TICKS_PER_SECOND: u64 = 100;

/// Since when a cell is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tenure {
    open: Duration,
    /// Since it was moved, or elected where it was; nothing where no such thing is recorded.
    moved: Option<Duration>,
}

/// Returns the seed with which the drill hits whom control planes would move, once they would; or why it
/// hits nobody.
pub(super) async fn settled(
    run: &Run<'_>,
    control_plane: &ControlPlane,
    users: &[User],
    fault: &Fault,
) -> Result<u64, String> {
    // By its seed a suite has chosen whose turn it is.
    let count = if run.watch.is_some() { 1 } else { SEEDS };
    let due = Instant::now() + WAIT;
    let mut is_told = false;
    loop {
        let trouble = match look(run, control_plane, users).await {
            Err(err) => format!("how long cells have been where they are is not known: {err:#}"),
            Ok((cells, tenures, watched)) => {
                let (seed, cell) = aim(fault, &cells, &tenures, run.drill.seed, count)?;
                let open = tenures.get(&cell).map_or(Duration::ZERO, |tenure| tenure.open);
                let known = open.min(watched);
                if known >= SETTLED {
                    if seed != run.drill.seed {
                        let told = "whom the seed names was moved within ten minutes";
                        run.terminal.line(&format!("{told}: {cell} instead, as with seed {seed}"));
                    }
                    return Ok(seed);
                }
                format!(
                    "the epoch of {cell} has been known for {} s, of the {} s that control planes \
                     wait before they move it",
                    known.as_secs(),
                    SETTLED.as_secs()
                )
            }
        };
        if Instant::now() >= due {
            return Err(trouble);
        }
        if !is_told {
            let most = WAIT.as_secs();
            run.terminal.phase("settled", &format!("{trouble}: waiting, {most} s at most"));
            is_told = true;
        }
        sleep(PAUSE).await;
    }
}

/// Returns where the cells are, since when, and for how long the control plane has looked on that has done so
/// for longest: any of them may move a cell.
async fn look(
    run: &Run<'_>,
    control_plane: &ControlPlane,
    users: &[User],
) -> anyhow::Result<(Vec<Cell>, BTreeMap<CellId, Tenure>, Duration)> {
    let cells = control_plane.cells().await?;
    let mut tenures = BTreeMap::new();
    for cell in &cells {
        let Some(user) = users.iter().find(|user| user.cell == cell.id) else { continue };
        let records = control_plane.history(&user.name).await?;
        let tenure = tenure(&records, cell.tally.epoch, unix_millis());
        let tenure = tenure
            .with_context(|| format!("find epoch {} of {} recorded", cell.tally.epoch, cell.id))?;
        tenures.insert(cell.id.clone(), tenure);
    }
    Ok((cells, tenures, watched(&run.platform.fleet()?, BootTime::now())))
}

fn watched(fleet: &Fleet, now: BootTime) -> Duration {
    let control_planes = fleet.processes.iter().filter(|it| it.role == FleetRole::ControlPlane);
    let first = control_planes.filter_map(|it| it.start_time).min();
    first.map_or(Duration::ZERO, |ticks| {
        now.since(BootTime::from_nanos(ticks.saturating_mul(1_000_000_000 / TICKS_PER_SECOND)))
    })
}

/// Returns since when a cell is as it is, by its records, the last one first; `None` while its epoch is not
/// among them.
fn tenure(records: &[HistoryRecord], epoch: Epoch, now_unix_ms: u64) -> Option<Tenure> {
    let ago = |at: u64| Duration::from_millis(now_unix_ms.saturating_sub(at));
    let own = records.first().filter(|record| record.epoch == epoch.0)?;
    let is_move = |(index, record): &(usize, &HistoryRecord)| {
        let before = records.get(index + 1);
        let is_elsewhere = before.is_some_and(|before| before.active != record.active);
        let cause = record.cause.as_ref().map(|cause| cause.kind.as_str());
        is_elsewhere || cause.is_some_and(|kind| !IN_PLACE.contains(&kind))
    };
    let moved = records.iter().enumerate().find(is_move);
    Some(Tenure {
        open: ago(own.opened_unix_ms),
        moved: moved.map(|(_, record)| ago(record.opened_unix_ms)),
    })
}

/// Returns the first seed from the drill's own on that hits a cell which was not moved of late, and that
/// cell.
fn aim(
    fault: &Fault,
    cells: &[Cell],
    tenures: &BTreeMap<CellId, Tenure>,
    seed: u64,
    count: u64,
) -> Result<(u64, CellId), String> {
    let mut lately: BTreeMap<CellId, Duration> = BTreeMap::new();
    for seed in (0..count).map(|offset| seed.wrapping_add(offset)) {
        let target = settle(fault, cells, seed)?;
        let hit = target.cells().into_keys().next();
        let cell = hit.ok_or("the drill hits no cell that could be moved")?;
        let moved = tenures.get(&cell).and_then(|tenure| tenure.moved);
        match moved.filter(|ago| *ago < MOVED) {
            None => return Ok((seed, cell)),
            Some(ago) => lately.insert(cell, ago),
        };
    }
    let told: Vec<String> = lately
        .iter()
        .map(|(cell, ago)| format!("{cell} was moved {} s ago", ago.as_secs()))
        .collect();
    let again = lately.values().max().map_or(Duration::ZERO, |ago| MOVED.saturating_sub(*ago));
    Err(format!(
        "{}, and control planes leave a cell for {} s where it was moved to; begin again in {} s",
        told.join(", "),
        MOVED.as_secs(),
        again.as_secs() + 1
    ))
}

#[cfg(test)]
mod tests {
    use topology::wire::cause::CauseRecord;

    use super::*;
    use crate::course::Tally;
    use crate::drill::Choice;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// An epoch that was opened at this second, where, and by what.
    fn record(epoch: u64, at: u64, active: &str, cause: &str) -> HistoryRecord {
        let cause =
            (!cause.is_empty()).then(|| CauseRecord { kind: cause.to_owned(), operation: None });
        HistoryRecord {
            epoch,
            active: active.to_owned(),
            begun_unix_ms: at * 1000,
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
            let ago = cells().into_iter().map(|cell| (cell.id == named).then_some(lately));
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
        let any =
            aim(&slow(Choice::Auto), &cells(), &moved([Some(9), Some(500), Some(7)]), 1, SEEDS);
        assert!(any.unwrap_err().ends_with("begin again in 101 s"));
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
}
