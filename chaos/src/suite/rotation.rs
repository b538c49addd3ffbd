//! Whom a drill hits when: whom it has not hit for longest, the seed settling who comes first.
//!
//! A drill settles its target by its seed, so a target is chosen by choosing a seed: whoever runs the
//! drill again with that seed hits the same.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use topology::{CellId, RegionId};

use super::past::Entry;
use crate::control_plane::Cell;
use crate::drill::{Choice, Drill, Fault};
use crate::fault::{Target, settle};

/// What is hit by a drill that picks neither a cell nor a region.
pub(crate) const PLATFORM: &str = "platform";
/// Seeds tried for a target: with three regions each is missed with a chance of less than 10⁻⁴⁴.
const SEEDS: u64 = 256;

/// What a drill picks.
enum Over<'a> {
    Cells(&'a Choice<CellId>),
    Regions(&'a Choice<RegionId>),
    Platform,
}

/// Whom a drill hits, with this seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) target: String,
    pub(crate) seed: u64,
    /// All that it breaks.
    pub(crate) hit: Hit,
}

/// What a drill breaks, as far as it can be told before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) cells: BTreeSet<CellId>,
    pub(crate) regions: BTreeSet<RegionId>,
}

/// Returns everybody a drill is meant to hit in turn.
pub(crate) fn targets(drill: &Drill, cells: &[Cell]) -> BTreeSet<String> {
    match drill.actions.first().map(|action| over(&action.fault)) {
        Some(Over::Cells(Choice::Auto)) => cells.iter().map(|cell| cell.id.to_string()).collect(),
        Some(Over::Cells(Choice::Named(cell))) => [cell.to_string()].into(),
        Some(Over::Regions(Choice::Auto)) => {
            let regions = cells.iter().flat_map(|cell| cell.active.iter().chain(&cell.standbys));
            regions.map(ToString::to_string).collect()
        }
        Some(Over::Regions(Choice::Named(region))) => [region.to_string()].into(),
        Some(Over::Platform) | None => [PLATFORM.to_owned()].into(),
    }
}

/// Returns whom a drill hits next, with a seed from `base` on, or why it can hit nobody.
pub(crate) fn pick(
    drill: &Drill,
    cells: &[Cell],
    past: &[Entry],
    seed: u64,
    base: u64,
) -> Result<Pick, String> {
    let first = drill.actions.first().ok_or("the drill does nothing")?;
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for seed in (0..SEEDS).map(|offset| base.wrapping_add(offset)) {
        let target = settle(&first.fault, cells, seed)?;
        reached.entry(name(&first.fault, &target)).or_insert(seed);
    }
    let ranks = ranks(drill, cells, seed);
    let last = |target: &str| last_turn(&drill.name, target, past);
    let next =
        reached.into_iter().min_by_key(|(target, _)| (last(target), ranks.get(target).copied()));
    let (target, seed) = next.ok_or("nobody is there to be hit")?;
    Ok(Pick { target, seed, hit: hit(drill, cells, seed) })
}

/// Returns when a target had its turn last. A drill that came to nothing is none, and comes again; twice in
/// a row it is one, or whoever cannot be hit would keep all others from their turns.
fn last_turn(drill: &str, target: &str, past: &[Entry]) -> Option<u64> {
    let mut tries: Vec<&Entry> = past
        .iter()
        .filter(|entry| entry.drill == drill && entry.target.as_deref() == Some(target))
        .collect();
    tries.sort_by_key(|entry| std::cmp::Reverse(entry.due_unix_ms));
    match tries[..] {
        [first, second, ..] if !first.is_rehearsed() && !second.is_rehearsed() => {
            Some(first.due_unix_ms)
        }
        _ => tries.iter().find(|entry| entry.is_rehearsed()).map(|entry| entry.due_unix_ms),
    }
}

fn over(fault: &Fault) -> Over<'_> {
    match fault {
        Fault::ProcessKill { cell, .. }
        | Fault::ProcessFreeze { cell, .. }
        | Fault::SiteKill { cell, .. }
        | Fault::SiteFreeze { cell }
        | Fault::PostgresStall { cell, .. }
        | Fault::ReplicationStall { cell, .. }
        | Fault::Switchover { cell, .. }
        | Fault::Failover { cell }
        | Fault::Restore { cell }
        | Fault::CpuStarve { cell, .. }
        | Fault::NetStream { cell, .. }
        | Fault::SiteSlow { cell, .. }
        | Fault::DiskFull { cell }
        | Fault::DiskSlow { cell, .. }
        | Fault::ClockOffset { cell, .. } => Over::Cells(cell),
        Fault::RegionKill { region, .. }
        | Fault::Net { region, .. }
        | Fault::ControlPlaneBlind { region, .. }
        | Fault::Evacuate { region } => Over::Regions(region),
        Fault::EtcdKill { .. }
        | Fault::EtcdLeaderKill
        | Fault::EtcdFreeze
        | Fault::EtcdLeaderIsolate
        | Fault::EtcdMajorityLoss { .. }
        | Fault::EtcdSnapshot
        | Fault::EtcdWipe
        | Fault::RegionsKill { .. }
        | Fault::ControlPlaneKill { .. }
        | Fault::RouterKill { .. }
        | Fault::RouterUpgrade
        | Fault::RouterStale
        | Fault::ProcessPause { .. } => Over::Platform,
    }
}

fn name(fault: &Fault, target: &Target) -> String {
    let cells = target.cells();
    let name = match over(fault) {
        Over::Cells(_) => cells.keys().next().map(ToString::to_string),
        Over::Regions(_) => target.region().map(ToString::to_string),
        Over::Platform => None,
    };
    name.unwrap_or_else(|| PLATFORM.to_owned())
}

/// Who comes first among those that were never hit: another order for each drill and each seed.
fn ranks(drill: &Drill, cells: &[Cell], seed: u64) -> BTreeMap<String, u64> {
    let mix = |mixed: u64, byte: u8| mixed.wrapping_mul(31).wrapping_add(u64::from(byte));
    let mut random = StdRng::seed_from_u64(drill.name.bytes().fold(seed, mix));
    targets(drill, cells).into_iter().map(|target| (target, random.random())).collect()
}

/// Later actions are settled where the cells are before the first one.
fn hit(drill: &Drill, cells: &[Cell], seed: u64) -> Hit {
    let mut hit = Hit::default();
    for action in &drill.actions {
        let Ok(target) = settle(&action.fault, cells, seed) else { continue };
        hit.cells.extend(target.cells().into_keys());
        if let Over::Regions(_) = over(&action.fault) {
            hit.regions.extend(target.region().cloned());
        }
    }
    hit
}
