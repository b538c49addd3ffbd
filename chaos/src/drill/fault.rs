//! What may be done to the platform, and to whom.

use std::time::Duration;

use topology::{CellId, RegionId};

use super::{Cut, Effect, Lines, Offset};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL one process of a cell's active site; whoever supervises it starts it again.
    ProcessKill { cell: Choice<CellId>, role: ProcessRole },
    /// SIGSTOP one process of a cell's active site, until healed.
    ProcessFreeze { cell: Choice<CellId>, role: ProcessRole },
    /// SIGKILL everything of one of a cell's sites, and keep it down.
    SiteKill { cell: Choice<CellId>, site: Place },
    /// Everything of a cell's active site stands still, until healed.
    SiteFreeze { cell: Choice<CellId> },
    /// A cell's active site answers so much later, until healed; its agent does not.
    SiteSlow { cell: Choice<CellId>, by: Duration },
    /// Everything of a cell's active PostgreSQL stands still for a moment.
    PostgresStall { cell: Choice<CellId>, lasting: Lasting },
    /// A cell's active site sends its standbys nothing for a moment, while the next thing is done.
    ReplicationStall { cell: Choice<CellId>, standbys: Standbys, lasting: Lasting },
    /// SIGKILL everything of a region, and keep it down.
    RegionKill { region: Choice<RegionId>, death: Death },
    /// SIGKILL everything of all regions but one, and keep it down.
    RegionsKill { left: Choice<RegionId>, death: Death },
    /// Do something to the lines between a region and the others.
    Net { region: Choice<RegionId>, lines: Lines, effect: Effect },
    /// Move a cell by plan, as an operator would.
    Switchover { cell: Choice<CellId>, to: Choice<RegionId> },
    /// Have a cell served by what is left of it, whatever is given up, as an operator would.
    Failover { cell: Choice<CellId> },
    /// Move every cell out of a region by plan, and let them come home again.
    Evacuate { region: Choice<RegionId> },
    /// Restore a cell's database from its backups beside the running one, as an operator would, and compare.
    Restore { cell: Choice<CellId> },
    /// SIGKILL members of etcd, and keep them down.
    EtcdKill { member: EtcdMember },
    /// SIGKILL etcd's leader; whoever supervises it starts it again.
    EtcdLeaderKill,
    /// SIGSTOP etcd's leader, until healed.
    EtcdFreeze,
    /// etcd's leader hears nothing of the other members, nor they of it, until healed.
    EtcdLeaderIsolate,
    /// Save what etcd has, for [`Fault::EtcdWipe`].
    EtcdSnapshot,
    /// Delete all that etcd has, and restore it from what was saved before.
    EtcdWipe,
    /// As many members of etcd as make a majority are gone, its leader among them, until healed.
    EtcdMajorityLoss { mode: Outage },
    /// SIGKILL control planes, all or one region's, and keep them down.
    ControlPlaneKill { region: Option<RegionId> },
    /// One region's control plane reaches little beyond its region, until healed.
    ControlPlaneBlind { region: Choice<RegionId>, reach: Reach },
    /// SIGKILL routers; whoever supervises them starts them again.
    RouterKill { routers: Routers },
    /// Have each router's program replaced by the one that is there now, as an operator would.
    RouterUpgrade,
    /// One router hears nothing of etcd and the control planes, until healed.
    RouterStale,
    /// Everything of a cell's active site has this share of one processor, until healed.
    CpuStarve { cell: Choice<CellId>, percent: u8 },
    /// Of the answers to writes of a cell's active site a share is cut off, until healed.
    NetStream { cell: Choice<CellId>, cut: Cut, percent: u8 },
    /// A cell's active PostgreSQL has no room to write in, until healed.
    DiskFull { cell: Choice<CellId> },
    /// A cell's active PostgreSQL writes to its disk so many times a second at most, until healed.
    DiskSlow { cell: Choice<CellId>, writes: u32 },
    /// The wall clock of a cell's active site is wrong, until healed.
    ClockOffset { cell: Choice<CellId>, offset: Offset },
    /// Any one process of the platform stands still for a moment.
    ProcessPause { lasting: Lasting },
}

impl Fault {
    pub(crate) const KINDS: [&str; 38] = [
        "process.kill",
        "process.freeze",
        "process.pause",
        "site.kill",
        "site.freeze",
        "site.slow",
        "postgres.stall",
        "replication.stall",
        "region.kill",
        "regions.kill",
        "switchover",
        "failover",
        "evacuate",
        "restore",
        "etcd.kill",
        "etcd.leader-kill",
        "etcd.leader-freeze",
        "etcd.leader-isolate",
        "etcd.majority-loss",
        "etcd.snapshot",
        "etcd.wipe",
        "control-plane.kill",
        "control-plane.blind",
        "router.kill",
        "router.upgrade",
        "router.stale",
        "cpu.starve",
        "clock.offset",
        "disk.full",
        "disk.slow",
        "net.partition",
        "net.one-way-connect",
        "net.latency",
        "net.loss",
        "net.rate",
        "net.cut-established",
        "net.flap",
        "net.stream",
    ];

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ProcessKill { .. } => "process.kill",
            Self::ProcessFreeze { .. } => "process.freeze",
            Self::ProcessPause { .. } => "process.pause",
            Self::SiteKill { .. } => "site.kill",
            Self::SiteFreeze { .. } => "site.freeze",
            Self::SiteSlow { .. } => "site.slow",
            Self::PostgresStall { .. } => "postgres.stall",
            Self::ReplicationStall { .. } => "replication.stall",
            Self::RegionKill { .. } => "region.kill",
            Self::RegionsKill { .. } => "regions.kill",
            Self::Switchover { .. } => "switchover",
            Self::Failover { .. } => "failover",
            Self::Evacuate { .. } => "evacuate",
            Self::Restore { .. } => "restore",
            Self::EtcdKill { .. } => "etcd.kill",
            Self::EtcdLeaderKill => "etcd.leader-kill",
            Self::EtcdFreeze => "etcd.leader-freeze",
            Self::EtcdLeaderIsolate => "etcd.leader-isolate",
            Self::EtcdMajorityLoss { .. } => "etcd.majority-loss",
            Self::EtcdSnapshot => "etcd.snapshot",
            Self::EtcdWipe => "etcd.wipe",
            Self::ControlPlaneKill { .. } => "control-plane.kill",
            Self::ControlPlaneBlind { .. } => "control-plane.blind",
            Self::RouterKill { .. } => "router.kill",
            Self::RouterUpgrade => "router.upgrade",
            Self::RouterStale => "router.stale",
            Self::CpuStarve { .. } => "cpu.starve",
            Self::ClockOffset { .. } => "clock.offset",
            Self::DiskFull { .. } => "disk.full",
            Self::DiskSlow { .. } => "disk.slow",
            Self::NetStream { .. } => "net.stream",
            Self::Net { effect, .. } => effect.kind(),
        }
    }

    /// How it ends when it is healed, for people.
    pub(crate) fn taken_away(&self) -> &'static str {
        match self {
            Self::ProcessKill { .. } | Self::EtcdLeaderKill | Self::RouterKill { .. } => {
                "by whoever supervises it"
            }
            Self::ProcessFreeze { .. }
            | Self::SiteFreeze { .. }
            | Self::EtcdFreeze
            | Self::EtcdMajorityLoss { mode: Outage::Freeze } => "by letting it go on",
            Self::DiskFull { .. } => "by giving it room again",
            Self::ClockOffset { .. } => "by setting the clock right",
            Self::CpuStarve { .. } | Self::DiskSlow { .. } => "by taking the limit away",
            Self::ProcessPause { .. }
            | Self::PostgresStall { .. }
            | Self::ReplicationStall { .. } => "by itself, a moment later",
            Self::SiteKill { .. }
            | Self::RegionKill { .. }
            | Self::RegionsKill { .. }
            | Self::ControlPlaneKill { .. }
            | Self::EtcdMajorityLoss { mode: Outage::Kill }
            | Self::EtcdKill { .. } => "by lifting the holds",
            Self::Net { effect: Effect::CutEstablished, .. } => "by opening new connections",
            Self::Net { effect: Effect::Flap(_), .. } => "by itself, after each turn",
            Self::Net { .. } => "by lifting the policy of the WAN",
            Self::RouterStale
            | Self::EtcdLeaderIsolate
            | Self::ControlPlaneBlind { .. }
            | Self::NetStream { .. }
            | Self::SiteSlow { .. } => "by removing the packet filter",
            Self::EtcdWipe => {
                "by itself, unless it is ended in the middle: then etcd has what it had"
            }
            Self::EtcdSnapshot
            | Self::Switchover { .. }
            | Self::Failover { .. }
            | Self::Restore { .. }
            | Self::RouterUpgrade => "by nobody: it is no fault",
            Self::Evacuate { .. } => "by restoring the region, which is part of it",
        }
    }

    /// Whether the platform must be on an emulated WAN.
    pub(super) fn needs_wan(&self) -> bool {
        matches!(
            self,
            Self::Net { .. }
                | Self::RegionKill { death: Death::Silent, .. }
                | Self::RegionsKill { death: Death::Silent, .. }
        )
    }

    /// Whether the programs must be there that save and restore what etcd has.
    pub(super) fn needs_snapshots(&self) -> bool {
        matches!(self, Self::EtcdSnapshot | Self::EtcdWipe)
    }

    /// Whether the program must be there that cells' backups are restored with.
    pub(super) fn needs_backups(&self) -> bool {
        matches!(self, Self::Restore { .. })
    }

    /// Whether the platform's clocks must be such that they can be set.
    pub(super) fn needs_clocks(&self) -> bool {
        matches!(self, Self::ClockOffset { .. })
    }
}

/// What others hear of a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The kernel ends every connection for the dead.
    Crash,
    /// Nothing: packets are dropped first, as when the power goes.
    Silent,
}

/// What a control plane is left with, besides its own region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything but the sites.
    Etcd,
    Region,
}

impl Reach {
    pub(crate) const ALL: [Self; 2] = [Self::Etcd, Self::Region];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Region => "region",
        }
    }
}

/// Which of a cell's sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Active,
    /// One of its standbys, by the seed.
    Standby,
}

/// How many of a site's standbys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standbys {
    All,
    /// Whichever: the others go on, and strong commits with them.
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routers {
    One,
    /// The next one once the last one is started again.
    EachInTurn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EtcdMember {
    Leader,
    All,
    Of(RegionId),
}

/// How several processes are gone at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Whoever asks them is refused.
    Kill,
    /// Whoever asks them hears nothing.
    Freeze,
}

impl Outage {
    pub(crate) const ALL: [Self; 2] = [Self::Kill, Self::Freeze];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
        }
    }
}

/// A time between these two, by the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lasting {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

/// `auto` is settled at injection, by the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice<T> {
    Auto,
    Named(T),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessRole {
    Postgres,
    Agent,
    Session,
    Nlp,
    Knowledge,
    Ticket,
}

impl ProcessRole {
    pub(crate) const ALL: [(&str, Self); 6] = [
        ("postgres", Self::Postgres),
        ("agent", Self::Agent),
        ("session", Self::Session),
        ("nlp", Self::Nlp),
        ("knowledge", Self::Knowledge),
        ("ticket", Self::Ticket),
    ];

    pub(crate) fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, role)| *role == self);
        named.map_or("", |(name, _)| name)
    }
}
