//! What a fault is aimed at, once that is settled: whom it hits, and whether it may.

mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use topology::{CellId, RegionId, SiteId};

use crate::drill::{
    Cut, Death, Effect, EtcdMember, Lines, Offset, Outage, ProcessRole, Reach, Routers, Scope,
    Standbys,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    ProcessKill {
        site: SiteId,
        role: ProcessRole,
    },
    ProcessFreeze {
        site: SiteId,
        role: ProcessRole,
    },
    SiteKill(SiteId),
    SiteFreeze(SiteId),
    SiteSlow {
        site: SiteId,
        /// How much later it answers.
        by: Duration,
    },
    PostgresStall {
        site: SiteId,
        lasting: Duration,
    },
    /// While the next thing is done.
    ReplicationStall {
        site: SiteId,
        standbys: Standbys,
        lasting: Duration,
    },
    RegionKill {
        region: RegionId,
        cells: Vec<CellId>,
        death: Death,
    },
    /// Every cell is hit: one that is active where it is left alone has lost its voters.
    RegionsKill {
        lost: Vec<RegionId>,
        left: RegionId,
        death: Death,
        homes: Homes,
    },
    Net {
        region: RegionId,
        cells: Vec<CellId>,
        lines: Lines,
        effect: Effect,
        /// Of what is left to chance.
        seed: u64,
    },
    Switchover {
        cell: CellId,
        from: RegionId,
        to: RegionId,
    },
    /// Where it is active is what the restored one is compared with.
    Restore(SiteId),
    /// It is active nowhere.
    Failover(CellId),
    Evacuate {
        region: RegionId,
        cells: Vec<CellId>,
    },
    EtcdKill {
        member: EtcdMember,
        homes: Homes,
    },
    EtcdLeaderKill {
        homes: Homes,
    },
    EtcdFreeze {
        homes: Homes,
    },
    EtcdLeaderIsolate {
        homes: Homes,
    },
    EtcdSnapshot,
    EtcdWipe {
        homes: Homes,
    },
    /// Which ones go with the leader is settled at injection, by the seed.
    EtcdMajorityLoss {
        mode: Outage,
        seed: u64,
        homes: Homes,
    },
    ControlPlaneKill {
        region: Option<RegionId>,
        homes: Homes,
    },
    ControlPlaneBlind {
        region: RegionId,
        reach: Reach,
    },
    /// Which one is settled at injection, by the seed.
    RouterKill {
        routers: Routers,
        seed: u64,
        homes: Homes,
    },
    RouterUpgrade {
        homes: Homes,
    },
    DiskFull(SiteId),
    /// Which answers is left to chance, by the seed.
    NetStream {
        site: SiteId,
        cut: Cut,
        percent: u8,
        seed: u64,
    },
    DiskSlow {
        site: SiteId,
        /// A second, at most.
        writes: u32,
    },
    ClockOffset {
        site: SiteId,
        offset: Offset,
    },
    /// Which one is settled at injection, by the seed.
    RouterStale {
        seed: u64,
    },
    CpuStarve {
        site: SiteId,
        percent: u8,
    },
    /// Which one is settled at injection, by the seed.
    ProcessPause {
        lasting: Duration,
        seed: u64,
        homes: Homes,
    },
}

/// Every cell, and where it is active: of a fault that may touch any of them.
pub(super) type Homes = BTreeMap<CellId, Option<RegionId>>;

impl Target {
    /// Returns the cells it hits, and where they are active.
    pub(crate) fn cells(&self) -> Homes {
        match self {
            Self::ProcessKill { site, .. }
            | Self::ProcessFreeze { site, .. }
            | Self::PostgresStall { site, .. }
            | Self::ReplicationStall { site, .. }
            | Self::CpuStarve { site, .. }
            | Self::ClockOffset { site, .. }
            | Self::DiskSlow { site, .. }
            | Self::DiskFull(site)
            | Self::NetStream { site, .. }
            | Self::SiteSlow { site, .. }
            | Self::SiteKill(site)
            | Self::Restore(site)
            | Self::SiteFreeze(site) => [(site.cell.clone(), Some(site.region.clone()))].into(),
            Self::RegionKill { region, cells, .. }
            | Self::Net { region, cells, .. }
            | Self::Evacuate { region, cells } => {
                cells.iter().map(|cell| (cell.clone(), Some(region.clone()))).collect()
            }
            // It goes on routing, or looking on: no cell is hit.
            Self::RouterStale { .. } | Self::ControlPlaneBlind { .. } | Self::EtcdSnapshot => {
                Homes::new()
            }
            Self::Failover(cell) => [(cell.clone(), None)].into(),
            Self::Switchover { cell, from, .. } => [(cell.clone(), Some(from.clone()))].into(),
            Self::EtcdKill { homes, .. }
            | Self::EtcdLeaderKill { homes }
            | Self::EtcdFreeze { homes }
            | Self::EtcdLeaderIsolate { homes }
            | Self::EtcdWipe { homes }
            | Self::EtcdMajorityLoss { homes, .. }
            | Self::RegionsKill { homes, .. }
            | Self::ControlPlaneKill { homes, .. }
            | Self::RouterKill { homes, .. }
            | Self::RouterUpgrade { homes }
            | Self::ProcessPause { homes, .. } => homes.clone(),
        }
    }

    /// Returns the region whose own control plane had better not be asked.
    pub(crate) fn region(&self) -> Option<&RegionId> {
        match self {
            Self::ProcessKill { site, .. }
            | Self::ProcessFreeze { site, .. }
            | Self::PostgresStall { site, .. }
            | Self::ReplicationStall { site, .. }
            | Self::CpuStarve { site, .. }
            | Self::ClockOffset { site, .. }
            | Self::DiskSlow { site, .. }
            | Self::DiskFull(site)
            | Self::NetStream { site, .. }
            | Self::SiteSlow { site, .. }
            | Self::SiteKill(site)
            | Self::Restore(site)
            | Self::SiteFreeze(site) => Some(&site.region),
            Self::RegionKill { region, .. }
            | Self::Net { region, .. }
            | Self::ControlPlaneBlind { region, .. }
            | Self::Evacuate { region, .. } => Some(region),
            Self::RegionsKill { lost, .. } => lost.first(),
            Self::Switchover { from, .. } => Some(from),
            Self::ControlPlaneKill { region, .. } => region.as_ref(),
            Self::Failover(_)
            | Self::EtcdKill { .. }
            | Self::EtcdLeaderKill { .. }
            | Self::EtcdFreeze { .. }
            | Self::EtcdLeaderIsolate { .. }
            | Self::EtcdSnapshot
            | Self::EtcdWipe { .. }
            | Self::EtcdMajorityLoss { .. }
            | Self::RouterKill { .. }
            | Self::RouterUpgrade { .. }
            | Self::RouterStale { .. }
            | Self::ProcessPause { .. } => None,
        }
    }

    /// Returns how many regions it hits as a whole.
    fn regions(&self) -> usize {
        if let Self::RegionsKill { lost, .. } = self {
            return lost.len();
        }
        let is_one =
            matches!(self, Self::RegionKill { .. } | Self::Net { .. } | Self::Evacuate { .. });
        usize::from(is_one)
    }

    /// Returns why it is more than the drill may break.
    pub(crate) fn beyond(&self, scope: &Scope) -> Option<String> {
        let (cells, max) = (self.cells().len(), scope.max_cells);
        if cells > max {
            return Some(format!("{self} has {cells} active cells; scope.max-cells is {max}"));
        }
        let (regions, max) = (self.regions(), scope.max_regions);
        (regions > max).then(|| match regions {
            1 => format!("{self} is a region; scope.max-regions is {max}"),
            many => format!("{self} is {many} regions; scope.max-regions is {max}"),
        })
    }
}
