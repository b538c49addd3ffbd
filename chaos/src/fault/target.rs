//! Settles what a fault is aimed at, from where the cells are now.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use topology::{CellId, RegionId, SiteId};

use crate::control_plane::Cell;
use crate::drill::{
    Choice, Cut, Death, Effect, EtcdMember, Fault, Lasting, Lines, Offset, Place, ProcessRole,
    Routers, Scope,
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
    PostgresStall {
        site: SiteId,
        lasting: Duration,
    },
    /// While the next thing is done.
    ReplicationStall {
        site: SiteId,
        lasting: Duration,
    },
    RegionKill {
        region: RegionId,
        cells: Vec<CellId>,
        death: Death,
    },
    Net {
        region: RegionId,
        cells: Vec<CellId>,
        lines: Lines,
        effect: Effect,
    },
    Switchover {
        cell: CellId,
        from: RegionId,
        to: RegionId,
    },
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
    ControlPlaneKill {
        region: Option<RegionId>,
        homes: Homes,
    },
    /// Which one is settled at injection, by the seed.
    RouterKill {
        routers: Routers,
        seed: u64,
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
type Homes = BTreeMap<CellId, Option<RegionId>>;

/// Returns the target, or why there is none. The same seed and state give the same one.
pub(crate) fn settle(fault: &Fault, cells: &[Cell], seed: u64) -> Result<Target, String> {
    let mut random = StdRng::seed_from_u64(seed);
    let homes = || cells.iter().map(|cell| (cell.id.clone(), cell.active.clone())).collect();
    match fault {
        Fault::ProcessKill { cell, role } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::ProcessKill { site, role: *role })
        }
        Fault::ProcessFreeze { cell, role } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::ProcessFreeze { site, role: *role })
        }
        Fault::SiteKill { cell, site } => {
            let active = active_site(cell, cells, &mut random)?;
            let site = match site {
                Place::Active => active,
                Place::Standby => standby_site(&active.cell, cells, &mut random)?,
            };
            Ok(Target::SiteKill(site))
        }
        Fault::SiteFreeze { cell } => {
            Ok(Target::SiteFreeze(active_site(cell, cells, &mut random)?))
        }
        Fault::PostgresStall { cell, lasting } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::PostgresStall { site, lasting: lasting.settled(&mut random) })
        }
        Fault::ReplicationStall { cell, lasting } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::ReplicationStall { site, lasting: lasting.settled(&mut random) })
        }
        Fault::RegionKill { region, death } => {
            let (region, cells) = home(region, cells, &mut random)?;
            Ok(Target::RegionKill { region, cells, death: *death })
        }
        Fault::Net { region, lines, effect } => {
            let (region, cells) = home(region, cells, &mut random)?;
            Ok(Target::Net { region, cells, lines: lines.clone(), effect: *effect })
        }
        Fault::Evacuate { region } => {
            let (region, cells) = home(region, cells, &mut random)?;
            Ok(Target::Evacuate { region, cells })
        }
        Fault::Switchover { cell, to } => {
            let SiteId { cell, region: from } = active_site(cell, cells, &mut random)?;
            let standbys = standbys(&cell, cells);
            let to = settled(to, &standbys, &mut random).ok_or("it has no standby")?;
            if !standbys.contains(&&to) {
                return Err(format!("{to} is no standby of {cell}"));
            }
            Ok(Target::Switchover { cell, from, to })
        }
        Fault::EtcdKill { member } => {
            Ok(Target::EtcdKill { member: member.clone(), homes: homes() })
        }
        Fault::EtcdLeaderKill => Ok(Target::EtcdLeaderKill { homes: homes() }),
        Fault::EtcdFreeze => Ok(Target::EtcdFreeze { homes: homes() }),
        Fault::ControlPlaneKill { region } => {
            Ok(Target::ControlPlaneKill { region: region.clone(), homes: homes() })
        }
        Fault::RouterKill { routers } => {
            Ok(Target::RouterKill { routers: *routers, seed: random.random(), homes: homes() })
        }
        Fault::NetStream { cell, cut, percent } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::NetStream { site, cut: *cut, percent: *percent, seed: random.random() })
        }
        Fault::DiskFull { cell } => Ok(Target::DiskFull(active_site(cell, cells, &mut random)?)),
        Fault::ClockOffset { cell, offset } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::ClockOffset { site, offset: *offset })
        }
        Fault::RouterStale => Ok(Target::RouterStale { seed: random.random() }),
        Fault::CpuStarve { cell, percent } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::CpuStarve { site, percent: *percent })
        }
        Fault::ProcessPause { lasting } => {
            let lasting = lasting.settled(&mut random);
            Ok(Target::ProcessPause { lasting, seed: random.random(), homes: homes() })
        }
    }
}

/// Returns a region that cells are active in, and which.
fn home(
    choice: &Choice<RegionId>,
    cells: &[Cell],
    random: &mut StdRng,
) -> Result<(RegionId, Vec<CellId>), String> {
    let mut homes: Vec<&RegionId> = cells.iter().filter_map(|cell| cell.active.as_ref()).collect();
    homes.sort();
    homes.dedup();
    let region = settled(choice, &homes, random).ok_or("no region has a cell")?;
    let active = cells.iter().filter(|cell| cell.active.as_ref() == Some(&region));
    let cells: Vec<CellId> = active.map(|cell| cell.id.clone()).collect();
    if cells.is_empty() {
        return Err(format!("no cell is active in {region}"));
    }
    Ok((region, cells))
}

fn standby_site(cell: &CellId, cells: &[Cell], random: &mut StdRng) -> Result<SiteId, String> {
    let region = settled(&Choice::Auto, &standbys(cell, cells), random);
    let region = region.ok_or_else(|| format!("{cell} has no standby"))?;
    Ok(SiteId { cell: cell.clone(), region })
}

fn standbys<'a>(id: &CellId, cells: &'a [Cell]) -> Vec<&'a RegionId> {
    cells.iter().filter(|cell| cell.id == *id).flat_map(|cell| &cell.standbys).collect()
}

fn active_site(
    choice: &Choice<CellId>,
    cells: &[Cell],
    random: &mut StdRng,
) -> Result<SiteId, String> {
    let ids: Vec<&CellId> = cells.iter().map(|cell| &cell.id).collect();
    let id = settled(choice, &ids, random).ok_or("there is no cell")?;
    let cell = cells.iter().find(|cell| cell.id == id);
    let cell = cell.ok_or_else(|| format!("there is no cell {id}"))?;
    let region = cell.active.clone().ok_or_else(|| format!("{id} is active nowhere"))?;
    Ok(SiteId { cell: id, region })
}

fn settled<T: Clone>(choice: &Choice<T>, among: &[&T], random: &mut StdRng) -> Option<T> {
    match choice {
        Choice::Named(named) => Some(named.clone()),
        Choice::Auto if among.is_empty() => None,
        Choice::Auto => Some(among[random.random_range(0..among.len())].clone()),
    }
}

impl Lasting {
    fn settled(&self, random: &mut StdRng) -> Duration {
        let more = self.longest.saturating_sub(self.shortest);
        self.shortest + more.mul_f64(random.random::<f64>())
    }
}

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
            | Self::DiskFull(site)
            | Self::NetStream { site, .. }
            | Self::SiteKill(site)
            | Self::SiteFreeze(site) => [(site.cell.clone(), Some(site.region.clone()))].into(),
            Self::RegionKill { region, cells, .. }
            | Self::Net { region, cells, .. }
            | Self::Evacuate { region, cells } => {
                cells.iter().map(|cell| (cell.clone(), Some(region.clone()))).collect()
            }
            // It goes on routing: no cell is hit.
            Self::RouterStale { .. } => Homes::new(),
            Self::Switchover { cell, from, .. } => [(cell.clone(), Some(from.clone()))].into(),
            Self::EtcdKill { homes, .. }
            | Self::EtcdLeaderKill { homes }
            | Self::EtcdFreeze { homes }
            | Self::ControlPlaneKill { homes, .. }
            | Self::RouterKill { homes, .. }
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
            | Self::DiskFull(site)
            | Self::NetStream { site, .. }
            | Self::SiteKill(site)
            | Self::SiteFreeze(site) => Some(&site.region),
            Self::RegionKill { region, .. }
            | Self::Net { region, .. }
            | Self::Evacuate { region, .. } => Some(region),
            Self::Switchover { from, .. } => Some(from),
            Self::ControlPlaneKill { region, .. } => region.as_ref(),
            Self::EtcdKill { .. }
            | Self::EtcdLeaderKill { .. }
            | Self::EtcdFreeze { .. }
            | Self::RouterKill { .. }
            | Self::RouterStale { .. }
            | Self::ProcessPause { .. } => None,
        }
    }

    /// Returns why it is more than the drill may break.
    pub(crate) fn beyond(&self, scope: &Scope) -> Option<String> {
        let (cells, max) = (self.cells().len(), scope.max_cells);
        if cells > max {
            return Some(format!("{self} has {cells} active cells; scope.max-cells is {max}"));
        }
        let is_region =
            matches!(self, Self::RegionKill { .. } | Self::Net { .. } | Self::Evacuate { .. });
        (is_region && scope.max_regions == 0)
            .then(|| format!("{self} is a region; scope.max-regions is 0"))
    }
}

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
            Self::ReplicationStall { site, lasting } => {
                write!(f, "replication from {site} for {} ms", lasting.as_millis())
            }
            Self::RegionKill { region, .. } | Self::Evacuate { region, .. } => {
                write!(f, "region {region}")
            }
            Self::Net { region, lines, .. } => write!(f, "the lines of {region} {lines}"),
            Self::Switchover { cell, from, to } => write!(f, "{cell} from {from} to {to}"),
            Self::EtcdKill { member: EtcdMember::All, .. } => f.write_str("every member of etcd"),
            Self::EtcdKill { member: EtcdMember::Of(region), .. } => write!(f, "etcd@{region}"),
            Self::EtcdKill { member: EtcdMember::Leader, .. }
            | Self::EtcdLeaderKill { .. }
            | Self::EtcdFreeze { .. } => f.write_str("the leader of etcd"),
            Self::ControlPlaneKill { region: Some(region), .. } => {
                write!(f, "control-plane@{region}")
            }
            Self::ControlPlaneKill { region: None, .. } => f.write_str("every control plane"),
            Self::RouterKill { routers: Routers::One, .. } => f.write_str("a router"),
            Self::RouterKill { routers: Routers::EachInTurn, .. } => {
                f.write_str("each router in turn")
            }
            Self::NetStream { site, cut, percent, .. } => {
                write!(f, "{percent} % of the {cut} of {site}")
            }
            Self::DiskFull(site) => write!(f, "the volume of PostgreSQL of {site}"),
            Self::ClockOffset { site, offset } => write!(f, "the clocks of {site}, at {offset} s"),
            Self::RouterStale { .. } => f.write_str("a router's lines to etcd"),
            Self::CpuStarve { site, percent } => write!(f, "{site}, left {percent} % of a CPU"),
            Self::ProcessPause { lasting, .. } => {
                write!(f, "any process for {} ms", lasting.as_millis())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<Cell> {
        let regions = ["east", "north", "south"];
        (0..3)
            .map(|index| Cell {
                id: format!("c{}", index + 1).parse().unwrap(),
                active: Some(regions[index].parse().unwrap()),
                standbys: (1..3).map(|n| regions[(index + n) % 3].parse().unwrap()).collect(),
                redundant: true,
                phase: "steady".to_owned(),
                tally: crate::course::Tally { epoch: topology::Epoch(1), rebuilt: 0 },
            })
            .collect()
    }

    fn region(id: &str) -> RegionId {
        id.parse().unwrap()
    }

    #[test]
    fn a_named_region_is_hit_with_the_cells_that_live_there_now() {
        let mut cells = cells();
        cells[2].active = Some(region("east"));
        let fault =
            Fault::RegionKill { region: Choice::Named(region("east")), death: Death::Crash };
        let target = settle(&fault, &cells, 1).unwrap();
        assert_eq!(target.cells().len(), 2);
        assert_eq!(target.to_string(), "region east");
        let scope = Scope { max_cells: 1, max_regions: 1, environment: None };
        assert_eq!(
            target.beyond(&scope),
            Some("region east has 2 active cells; scope.max-cells is 1".to_owned())
        );
    }

    #[test]
    fn the_same_seed_hits_the_same_and_seeds_hit_everything() {
        let fault = Fault::RegionKill { region: Choice::Auto, death: Death::Crash };
        let targets: Vec<String> =
            (0..32).map(|seed| settle(&fault, &cells(), seed).unwrap().to_string()).collect();
        let again: Vec<String> =
            (0..32).map(|seed| settle(&fault, &cells(), seed).unwrap().to_string()).collect();
        assert_eq!(targets, again);
        for region in ["region east", "region north", "region south"] {
            assert!(targets.iter().any(|target| target == region), "{region}");
        }
    }

    #[test]
    fn a_cell_moves_to_one_of_its_standbys_only() {
        let cell = || Choice::Named("c1".parse().unwrap());
        let fault = Fault::Switchover { cell: cell(), to: Choice::Named(region("east")) };
        assert_eq!(settle(&fault, &cells(), 1), Err("east is no standby of c1".to_owned()));
        for seed in 0..8 {
            let fault = Fault::Switchover { cell: cell(), to: Choice::Auto };
            let Ok(Target::Switchover { from, to, .. }) = settle(&fault, &cells(), seed) else {
                panic!("no target");
            };
            assert!(from == region("east") && to != from);
        }
    }

    #[test]
    fn a_cell_that_is_active_nowhere_cannot_be_hit() {
        let mut cells = cells();
        cells[0].active = None;
        let fault = Fault::SiteFreeze { cell: Choice::Named("c1".parse().unwrap()) };
        assert_eq!(settle(&fault, &cells, 1), Err("c1 is active nowhere".to_owned()));
    }

    #[test]
    fn a_stall_lasts_as_long_as_the_seed_has_it_within_its_bounds() {
        let ms = Duration::from_millis;
        let lasting = Lasting { shortest: ms(300), longest: ms(1000) };
        let fault = Fault::PostgresStall { cell: Choice::Auto, lasting };
        let times: Vec<Duration> = (0..50)
            .map(|seed| {
                let target = settle(&fault, &cells(), seed).unwrap();
                let Target::PostgresStall { lasting, .. } = target else { panic!("{target}") };
                lasting
            })
            .collect();
        assert!(times.iter().all(|time| (ms(300)..=ms(1000)).contains(time)));
        assert!(times.iter().any(|time| *time < ms(450)));
        assert!(times.iter().any(|time| *time > ms(850)));
    }

    #[test]
    fn a_voter_is_a_standby_and_what_may_touch_any_cell_is_aimed_at_all() {
        let named = Choice::Named("c1".parse().unwrap());
        let fault = Fault::SiteKill { cell: named, site: Place::Standby };
        for seed in 0..8 {
            let target = settle(&fault, &cells(), seed).unwrap();
            assert!(["c1@north", "c1@south"].contains(&target.to_string().as_str()));
        }
        let fault = Fault::EtcdKill { member: EtcdMember::All };
        let target = settle(&fault, &cells(), 1).unwrap();
        assert_eq!((target.cells().len(), target.region()), (3, None));
    }
}
