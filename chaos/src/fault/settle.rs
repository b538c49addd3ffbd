//! Settles what a fault is aimed at, from where the cells are now.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use topology::{CellId, RegionId, SiteId};

use super::Target;
use crate::control_plane::Cell;
use crate::drill::{Choice, Fault, Lasting, Place};

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
        Fault::SiteFreeze { cell } => active_site(cell, cells, &mut random).map(Target::SiteFreeze),
        Fault::PostgresStall { cell, lasting } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::PostgresStall { site, lasting: lasting.settled(&mut random) })
        }
        Fault::ReplicationStall { cell, standbys, lasting } => {
            let site = active_site(cell, cells, &mut random)?;
            let (standbys, lasting) = (*standbys, lasting.settled(&mut random));
            Ok(Target::ReplicationStall { site, standbys, lasting })
        }
        Fault::RegionKill { region, death } => {
            let (region, cells) = home(region, cells, &mut random)?;
            Ok(Target::RegionKill { region, cells, death: *death })
        }
        Fault::RegionsKill { left, death } => {
            let (lost, left) = all_but(left, cells, &mut random)?;
            Ok(Target::RegionsKill { lost, left, death: *death, homes: homes() })
        }
        Fault::Net { region, lines, effect } => {
            let (region, cells) = home(region, cells, &mut random)?;
            let (lines, seed) = (lines.clone(), random.random());
            Ok(Target::Net { region, cells, lines, effect: *effect, seed })
        }
        Fault::Evacuate { region } => {
            let (region, cells) = home(region, cells, &mut random)?;
            Ok(Target::Evacuate { region, cells })
        }
        Fault::Switchover { cell, to } => {
            let from = active_site(cell, cells, &mut random)?;
            switchover(from, to, cells, &mut random)
        }
        Fault::Restore { cell } => active_site(cell, cells, &mut random).map(Target::Restore),
        Fault::Failover { cell } => Ok(Target::Failover(any_cell(cell, cells, &mut random)?)),
        Fault::EtcdKill { member } => {
            Ok(Target::EtcdKill { member: member.clone(), homes: homes() })
        }
        Fault::EtcdLeaderKill => Ok(Target::EtcdLeaderKill { homes: homes() }),
        Fault::EtcdFreeze => Ok(Target::EtcdFreeze { homes: homes() }),
        Fault::EtcdLeaderIsolate => Ok(Target::EtcdLeaderIsolate { homes: homes() }),
        Fault::EtcdSnapshot => Ok(Target::EtcdSnapshot),
        Fault::EtcdWipe => Ok(Target::EtcdWipe { homes: homes() }),
        Fault::EtcdMajorityLoss { mode } => {
            Ok(Target::EtcdMajorityLoss { mode: *mode, seed: random.random(), homes: homes() })
        }
        Fault::ControlPlaneKill { region } => {
            Ok(Target::ControlPlaneKill { region: region.clone(), homes: homes() })
        }
        Fault::ControlPlaneBlind { region, reach } => {
            let region = onlooker(region, cells, &mut random)?;
            Ok(Target::ControlPlaneBlind { region, reach: *reach })
        }
        Fault::RouterUpgrade => Ok(Target::RouterUpgrade { homes: homes() }),
        Fault::RouterKill { routers } => {
            Ok(Target::RouterKill { routers: *routers, seed: random.random(), homes: homes() })
        }
        Fault::NetStream { cell, cut, percent } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::NetStream { site, cut: *cut, percent: *percent, seed: random.random() })
        }
        Fault::SiteSlow { cell, by } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::SiteSlow { site, by: *by })
        }
        Fault::DiskFull { cell } => Ok(Target::DiskFull(active_site(cell, cells, &mut random)?)),
        Fault::DiskSlow { cell, writes } => active_site(cell, cells, &mut random)
            .map(|site| Target::DiskSlow { site, writes: *writes }),
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

fn switchover(
    active: SiteId,
    to: &Choice<RegionId>,
    cells: &[Cell],
    random: &mut StdRng,
) -> Result<Target, String> {
    let SiteId { cell, region: from } = active;
    let standbys = standbys(&cell, cells);
    let to = settled(to, &standbys, random).ok_or("it has no standby")?;
    if !standbys.contains(&&to) {
        return Err(format!("{to} is no standby of {cell}"));
    }
    Ok(Target::Switchover { cell, from, to })
}

/// Returns a region that some cell is active outside of: who is cut off there sees its site badly.
fn onlooker(
    choice: &Choice<RegionId>,
    cells: &[Cell],
    random: &mut StdRng,
) -> Result<RegionId, String> {
    let is_outside =
        |cell: &Cell, region: &RegionId| cell.active.as_ref().is_some_and(|home| home != region);
    let sees = |region: &RegionId| cells.iter().any(|cell| is_outside(cell, region));
    let mut onlookers = regions(cells);
    onlookers.retain(|region| sees(region));
    let region = settled(choice, &onlookers, random);
    let region = region.ok_or("no region sees a cell that is active elsewhere")?;
    if !onlookers.contains(&&region) {
        return Err(format!("{region} sees no cell that is active elsewhere"));
    }
    Ok(region)
}

/// Returns the regions that have a site.
fn regions(cells: &[Cell]) -> Vec<&RegionId> {
    let sites = cells.iter().flat_map(|cell| cell.active.iter().chain(&cell.standbys));
    let mut regions: Vec<&RegionId> = sites.collect();
    regions.sort();
    regions.dedup();
    regions
}

/// Returns the regions that have a site, without one, and that one.
fn all_but(
    choice: &Choice<RegionId>,
    cells: &[Cell],
    random: &mut StdRng,
) -> Result<(Vec<RegionId>, RegionId), String> {
    let regions = regions(cells);
    let left = settled(choice, &regions, random).ok_or("no region has a cell")?;
    if !regions.contains(&&left) {
        return Err(format!("no cell has a site in {left}"));
    }
    let lost = regions.into_iter().filter(|region| **region != left);
    Ok((lost.cloned().collect(), left))
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
    let id = any_cell(choice, cells, random)?;
    let cell = cells.iter().find(|cell| cell.id == id);
    let cell = cell.ok_or_else(|| format!("there is no cell {id}"))?;
    let region = cell.active.clone().ok_or_else(|| format!("{id} is active nowhere"))?;
    Ok(SiteId { cell: id, region })
}

/// Returns the same cell for the same seed, wherever it is active.
fn any_cell(
    choice: &Choice<CellId>,
    cells: &[Cell],
    random: &mut StdRng,
) -> Result<CellId, String> {
    let ids: Vec<&CellId> = cells.iter().map(|cell| &cell.id).collect();
    settled(choice, &ids, random).ok_or_else(|| "there is no cell".to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{Death, EtcdMember, Reach, Scope};

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
    fn all_regions_but_one_are_lost_and_every_cell_is_hit() {
        let left = |seed| {
            let fault = Fault::RegionsKill { left: Choice::Auto, death: Death::Crash };
            let target = settle(&fault, &cells(), seed).unwrap();
            let Target::RegionsKill { lost, left, homes, .. } = &target else { panic!("{target}") };
            assert!(lost.len() == 2 && !lost.contains(left) && homes.len() == 3);
            let scope = |max_regions| Scope { max_cells: 3, max_regions, environment: None };
            assert_eq!(target.beyond(&scope(2)), None);
            let told = format!("every region but {left} is 2 regions; scope.max-regions is 1");
            assert_eq!(target.beyond(&scope(1)), Some(told));
            left.clone()
        };
        let left: std::collections::BTreeSet<RegionId> = (0..32).map(left).collect();
        assert_eq!(left.len(), 3);
        let west = Choice::Named(region("west"));
        let fault = Fault::RegionsKill { left: west, death: Death::Crash };
        assert_eq!(settle(&fault, &cells(), 1), Err("no cell has a site in west".to_owned()));
    }

    #[test]
    fn who_is_cut_off_has_a_cell_to_see_badly() {
        let mut cells = cells();
        for cell in &mut cells {
            cell.active = Some(region("east"));
        }
        let settle = |choice, seed| {
            let fault = Fault::ControlPlaneBlind { region: choice, reach: Reach::Etcd };
            settle(&fault, &cells, seed)
        };
        let seen = (0..32).map(|seed| settle(Choice::Auto, seed).unwrap().to_string());
        let seen: std::collections::BTreeSet<String> = seen.collect();
        let expected =
            ["north", "south"].map(|region| format!("control-plane@{region}, left with etcd"));
        assert_eq!(seen, expected.into());
        for named in ["east", "west"] {
            let refused = Err(format!("{named} sees no cell that is active elsewhere"));
            assert_eq!(settle(Choice::Named(region(named)), 1), refused);
        }
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
    fn the_cell_that_was_hit_is_failed_over_although_it_is_active_nowhere() {
        for seed in 0..16 {
            let hit = settle(&Fault::SiteFreeze { cell: Choice::Auto }, &cells(), seed).unwrap();
            let (hit, _) = hit.cells().pop_first().unwrap();
            let mut cells = cells();
            cells.iter_mut().find(|cell| cell.id == hit).unwrap().active = None;
            let target = settle(&Fault::Failover { cell: Choice::Auto }, &cells, seed);
            assert_eq!(target, Ok(Target::Failover(hit)));
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
