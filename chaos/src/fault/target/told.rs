//! What a fault is aimed at, for people.

use std::fmt;

use super::Target;
use crate::drill::{EtcdMember, Routers, Standbys};

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProcessKill { site, role } | Self::ProcessFreeze { site, role } => {
                write!(f, "{} of {site}", role.name())
            }
            Self::SiteKill(site) | Self::SiteFreeze(site) => site.fmt(f),
            Self::PostgresStall { site, lasting } => {
                write!(f, "PostgreSQL of {site} for {} ms", lasting.as_millis())
            }
            Self::ReplicationStall { site, standbys, lasting } => {
                let to = if *standbys == Standbys::One { " to one standby" } else { "" };
                write!(f, "replication from {site}{to} for {} ms", lasting.as_millis())
            }
            Self::RegionKill { region, .. } | Self::Evacuate { region, .. } => {
                write!(f, "region {region}")
            }
            Self::RegionsKill { left, .. } => write!(f, "every region but {left}"),
            Self::Net { region, lines, .. } => write!(f, "the lines of {region} {lines}"),
            Self::Switchover { cell, from, to } => write!(f, "{cell} from {from} to {to}"),
            Self::Restore(site) => write!(f, "{}, compared with {site}", site.cell),
            Self::Failover(cell) => write!(f, "{cell}, which has too few sites left"),
            Self::EtcdKill { member: EtcdMember::All, .. } => f.write_str("every member of etcd"),
            Self::EtcdKill { member: EtcdMember::Of(region), .. } => write!(f, "etcd@{region}"),
            Self::EtcdKill { member: EtcdMember::Leader, .. }
            | Self::EtcdLeaderKill { .. }
            | Self::EtcdFreeze { .. } => f.write_str("the leader of etcd"),
            Self::EtcdLeaderIsolate { .. } => f.write_str("the lines of etcd's leader"),
            Self::EtcdSnapshot => f.write_str("what etcd has"),
            Self::EtcdWipe { .. } => f.write_str("all that etcd has"),
            Self::EtcdMajorityLoss { .. } => f.write_str("a majority of etcd"),
            Self::ControlPlaneKill { region: Some(region), .. } => {
                write!(f, "control-plane@{region}")
            }
            Self::ControlPlaneBlind { region, reach } => {
                write!(f, "control-plane@{region}, left with {}", reach.name())
            }
            Self::ControlPlaneKill { region: None, .. } => f.write_str("every control plane"),
            Self::RouterKill { routers: Routers::One, .. } => f.write_str("a router"),
            Self::RouterKill { routers: Routers::EachInTurn, .. } => {
                f.write_str("each router in turn")
            }
            Self::RouterUpgrade { .. } => f.write_str("each router's program in turn"),
            Self::NetStream { site, cut, percent, .. } => {
                write!(f, "{percent} % of the {cut} of {site}")
            }
            Self::SiteSlow { site, by } => {
                write!(f, "{site}, which answers {} ms late", by.as_millis())
            }
            Self::DiskFull(site) => write!(f, "the volume of PostgreSQL of {site}"),
            Self::DiskSlow { site, writes } => {
                write!(f, "the disk of PostgreSQL of {site}, at {writes} writes a second")
            }
            Self::ClockOffset { site, offset } => write!(f, "the clocks of {site}, at {offset} s"),
            Self::RouterStale { .. } => f.write_str("a router's lines to etcd"),
            Self::CpuStarve { site, percent } => write!(f, "{site}, left {percent} % of a CPU"),
            Self::ProcessPause { lasting, .. } => {
                write!(f, "any process for {} ms", lasting.as_millis())
            }
        }
    }
}
