//! Whom to hit, where a drill claims that control planes move a cell which serves: one that they would move.
//!
//! They leave a cell alone whose epoch they have known for less than a minute, and one that was moved within
//! ten (`topology::automatic`). The former is waited for; of the latter another cell is hit instead, or none.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::{BootTime, unix_millis};
use tokio::time::{Instant, sleep};
use topology::automatic::{MOVED, SETTLED};
use topology::wire::fleet::{Fleet, FleetRole};
use topology::wire::history::HistoryRecord;
use topology::{CellId, Epoch};

use super::Run;
use crate::control_plane::{Cell, ControlPlane};
use crate::drill::Fault;
use crate::fault::settle;
use crate::history::User;

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
                let (seed, hit) = aim(fault, &cells, &tenures, run.drill.seed, count)?;
                let open = |cell| tenures.get(cell).map_or(Duration::ZERO, |tenure| tenure.open);
                let known = hit.iter().map(open).fold(watched, Duration::min);
                let hit: Vec<String> = hit.iter().map(ToString::to_string).collect();
                let hit = hit.join(", ");
                if known >= SETTLED {
                    if seed != run.drill.seed {
                        let told = "whom the seed names was moved within ten minutes";
                        run.terminal.line(&format!("{told}: {hit} instead, as with seed {seed}"));
                    }
                    return Ok(seed);
                }
                format!(
                    "the epoch of {hit} has been known for {} s, of the {} s that control planes \
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

/// Returns the first seed from the drill's own on that hits nobody who was moved of late, and whom.
fn aim(
    fault: &Fault,
    cells: &[Cell],
    tenures: &BTreeMap<CellId, Tenure>,
    seed: u64,
    count: u64,
) -> Result<(u64, Vec<CellId>), String> {
    let mut lately: BTreeMap<CellId, Duration> = BTreeMap::new();
    let mut again = MOVED;
    for seed in (0..count).map(|offset| seed.wrapping_add(offset)) {
        let hit: Vec<CellId> = settle(fault, cells, seed)?.cells().into_keys().collect();
        if hit.is_empty() {
            return Err("the drill hits no cell that could be moved".to_owned());
        }
        let moved = |cell: &CellId| tenures.get(cell).and_then(|tenure| tenure.moved);
        let ago = |cell: &CellId| Some((cell.clone(), moved(cell).filter(|ago| *ago < MOVED)?));
        let too_soon: Vec<(CellId, Duration)> = hit.iter().filter_map(ago).collect();
        let Some(last) = too_soon.iter().map(|(_, ago)| *ago).min() else {
            return Ok((seed, hit));
        };
        again = again.min(MOVED.saturating_sub(last));
        lately.extend(too_soon);
    }
    let told: Vec<String> = lately
        .iter()
        .map(|(cell, ago)| format!("{cell} was moved {} s ago", ago.as_secs()))
        .collect();
    Err(format!(
        "{}, and control planes leave a cell for {} s where it was moved to; begin again in {} s",
        told.join(", "),
        MOVED.as_secs(),
        again.as_secs() + 1
    ))
}

#[cfg(test)]
mod tests;
