//! Breaks things on purpose: one fault per file; each resolves its target when it is injected,
//! proves that it took effect, and has in the journal what takes it away before it is applied.

pub(crate) mod ballast;
pub(crate) mod clock_offset;
mod control_plane_blind;
mod control_plane_kill;
mod cpu_starve;
mod cut_off;
pub(crate) mod disk_full;
pub(crate) mod disk_slow;
pub(crate) mod etcd;
mod evacuate;
mod failover;
pub(crate) mod hold;
mod lead;
mod net;
mod net_stream;
mod postgres_stall;
mod process;
mod process_freeze;
mod process_kill;
mod process_pause;
mod program;
mod refuses;
mod region_kill;
mod replication_stall;
pub(crate) mod restore;
mod router_kill;
mod router_stale;
mod router_upgrade;
mod settle;
mod site_freeze;
mod site_kill;
mod site_slow;
mod switchover;
mod target;

use std::collections::BTreeMap;
use std::time::Duration;

use topology::{CellId, RegionId, SiteId};

use crate::control_plane::ControlPlane;
use crate::drill::{Action, Effect, Expect, Lines};
use crate::history::Clock;
use crate::platform::Platform;
use crate::safeguard::Safeguard;

pub(crate) use restore::{Compared, Restored};
pub(crate) use settle::settle;
pub(crate) use target::Target;

/// What was done, to whom, and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) kind: String,
    /// What it was aimed at, for people: `region east`, `c1@east`.
    pub(crate) target: String,
    /// The cells it was aimed at, and where they were active.
    pub(crate) cells: BTreeMap<CellId, Option<RegionId>>,
    /// When it began to take effect …
    pub(crate) begun: Duration,
    /// … and was complete.
    pub(crate) ended: Duration,
    /// Each thing done, as it was done.
    pub(crate) steps: Vec<(Duration, String)>,
    /// What proves it.
    pub(crate) proof: Vec<String>,
    /// Routers that died, one after the other.
    pub(crate) kills: Vec<Kill>,
    /// Sites that stand still until healed.
    pub(crate) frozen: Vec<SiteId>,
    /// What users are to be told from then on.
    pub(crate) expect: Expect,
    /// The region whose control plane alone sees the others badly until healed.
    pub(crate) observer: Option<RegionId>,
    /// The region that alone is left.
    pub(crate) left: Option<RegionId>,
    /// When another member of etcd was seen to lead than the one that was broken.
    pub(crate) led_again: Option<Duration>,
    /// What came of restoring a cell from its backups.
    pub(crate) restored: Option<Restored>,
}

/// When a process was killed, and when it was seen to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) begun: Duration,
    pub(crate) gone: Duration,
}

/// What a fault works with.
pub(crate) struct Bench<'a> {
    pub(crate) run: &'a str,
    pub(crate) platform: &'a Platform,
    pub(crate) control_plane: &'a ControlPlane,
    pub(crate) clock: Clock,
    pub(crate) action: &'a Action,
}

/// Injects the fault, and verifies it. `injection` is told each step as it is taken: what was done
/// before a failure was done all the same.
pub(crate) async fn inject(
    bench: &Bench<'_>,
    target: &Target,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    injection.kind = bench.action.fault.kind().to_owned();
    injection.target = target.to_string();
    injection.cells = target.cells();
    injection.expect = bench.action.expect;
    match target {
        Target::ProcessKill { site, role } => {
            process_kill::inject(bench, site, *role, injection).await
        }
        Target::ProcessFreeze { site, role } => {
            process_freeze::inject(bench, site, *role, safeguard, injection).await
        }
        Target::SiteKill(site) => site_kill::inject(bench, site, safeguard, injection).await,
        Target::SiteFreeze(site) => site_freeze::inject(bench, site, safeguard, injection).await,
        Target::SiteSlow { site, by } => {
            site_slow::inject(bench, site, *by, safeguard, injection).await
        }
        Target::RegionKill { region, death, .. } => {
            let regions = std::slice::from_ref(region);
            region_kill::inject(bench, regions, *death, safeguard, injection).await
        }
        Target::RegionsKill { lost, death, left, .. } => {
            injection.left = Some(left.clone());
            region_kill::inject(bench, lost, *death, safeguard, injection).await
        }
        Target::Net { region, cells, lines, effect, seed } => {
            let whole = *effect == Effect::Partition && *lines == Lines::default();
            // They are alone with their connections, and must have stopped by themselves.
            let alone = cells.iter().filter(|_| whole);
            injection
                .frozen
                .extend(alone.map(|cell| SiteId { cell: cell.clone(), region: region.clone() }));
            net::inject(bench, region, lines, effect, *seed, safeguard, injection).await
        }
        Target::Evacuate { region, .. } => evacuate::inject(bench, region, injection).await,
        Target::Switchover { cell, to, .. } => switchover::inject(bench, cell, to, injection).await,
        Target::Restore(site) => restore::inject(bench, site, injection).await,
        Target::Failover(cell) => failover::inject(bench, cell, injection).await,
        Target::PostgresStall { site, lasting } => {
            postgres_stall::inject(bench, site, *lasting, safeguard, injection).await
        }
        Target::ReplicationStall { site, standbys, lasting } => {
            let to = (*standbys, *lasting);
            replication_stall::inject(bench, site, to, safeguard, injection).await
        }
        Target::ProcessPause { lasting, seed, .. } => {
            process_pause::inject(bench, *lasting, *seed, safeguard, injection).await
        }
        Target::EtcdKill { member, .. } => etcd::kill(bench, member, safeguard, injection).await,
        Target::EtcdLeaderKill { .. } => etcd::kill_leader(bench, injection).await,
        Target::EtcdFreeze { .. } => etcd::freeze_leader(bench, safeguard, injection).await,
        Target::EtcdSnapshot => etcd::snapshot(bench, injection).await,
        Target::EtcdWipe { .. } => etcd::wipe(bench, safeguard, injection).await,
        Target::EtcdLeaderIsolate { .. } => etcd::isolate(bench, safeguard, injection).await,
        Target::EtcdMajorityLoss { mode, seed, .. } => {
            etcd::lose_majority(bench, *mode, *seed, safeguard, injection).await
        }
        Target::ControlPlaneKill { region, .. } => {
            control_plane_kill::inject(bench, region.as_ref(), safeguard, injection).await
        }
        Target::ControlPlaneBlind { region, reach } => {
            control_plane_blind::inject(bench, region, *reach, safeguard, injection).await
        }
        Target::RouterKill { routers, seed, .. } => {
            router_kill::inject(bench, *routers, *seed, injection).await
        }
        Target::RouterUpgrade { .. } => router_upgrade::inject(bench, injection).await,
        Target::NetStream { site, cut, percent, seed } => {
            let share = net_stream::Share { cut: *cut, percent: *percent, seed: *seed };
            net_stream::inject(bench, site, share, safeguard, injection).await
        }
        Target::DiskFull(site) => disk_full::inject(bench, site, safeguard, injection).await,
        Target::DiskSlow { site, writes } => {
            disk_slow::inject(bench, site, *writes, safeguard, injection).await
        }
        Target::ClockOffset { site, offset } => {
            clock_offset::inject(bench, site, *offset, safeguard, injection).await
        }
        Target::RouterStale { seed } => {
            router_stale::inject(bench, *seed, safeguard, injection).await
        }
        Target::CpuStarve { site, percent } => {
            cpu_starve::inject(bench, site, *percent, safeguard, injection).await
        }
    }
}

impl Injection {
    /// Returns several as one: from when the first began to when the last was complete.
    pub(crate) fn together(injections: &[Self]) -> Option<Self> {
        let (first, rest) = injections.split_first()?;
        let mut whole = first.clone();
        let (mut kinds, mut targets) = (vec![&first.kind], vec![&first.target]);
        for injection in rest {
            kinds.push(&injection.kind);
            targets.push(&injection.target);
            // Where a cell was active at first is where it was taken from.
            for (cell, region) in &injection.cells {
                whole.cells.entry(cell.clone()).or_insert_with(|| region.clone());
            }
            whole.ended = whole.ended.max(injection.ended);
            whole.steps.extend(injection.steps.iter().cloned());
            whole.proof.extend(injection.proof.iter().cloned());
            whole.kills.extend(&injection.kills);
            whole.frozen.extend(injection.frozen.iter().cloned());
        }
        whole.kind = listed(&kinds);
        whole.target = listed(&targets);
        Some(whole)
    }

    fn begin(&mut self, clock: &Clock) {
        self.begun = clock.now();
        self.ended = self.begun;
    }

    fn step(&mut self, clock: &Clock, step: impl Into<String>) {
        self.ended = clock.now();
        self.steps.push((self.ended, step.into()));
    }
}

/// Each once, in their order; of many only the first few.
fn listed(words: &[&String]) -> String {
    const SHOWN: usize = 3;
    let mut once: Vec<&str> = Vec::new();
    for word in words {
        if !once.contains(&word.as_str()) {
            once.push(word);
        }
    }
    let more = once.len().saturating_sub(SHOWN);
    once.truncate(SHOWN);
    let shown = once.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection(kind: &str, cell: &str, begun: u64) -> Injection {
        Injection {
            kind: kind.to_owned(),
            target: format!("{cell}@east"),
            cells: [(cell.parse().unwrap(), None)].into(),
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(begun + 10),
            ..Injection::default()
        }
    }

    #[test]
    fn several_faults_are_one_from_the_first_to_the_last() {
        let several = [injection("site.kill", "c1", 1000), injection("etcd.kill", "c2", 3000)];
        let whole = Injection::together(&several).unwrap();
        assert_eq!((whole.begun.as_millis(), whole.ended.as_millis()), (1000, 3010));
        assert_eq!(whole.kind, "site.kill, etcd.kill");
        assert_eq!(whole.target, "c1@east, c2@east");
        assert_eq!(whole.cells.len(), 2);
        assert_eq!(Injection::together(&[]), None);
    }

    #[test]
    fn of_many_faults_each_kind_is_named_once() {
        let several: Vec<Injection> =
            (0..200).map(|at| injection("process.pause", "c1", at)).collect();
        let whole = Injection::together(&several).unwrap();
        assert_eq!((whole.kind.as_str(), whole.target.as_str()), ("process.pause", "c1@east"));
    }
}
