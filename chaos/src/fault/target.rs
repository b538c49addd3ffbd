//! Settles what a fault is aimed at, from where the cells are now.

use std::collections::BTreeMap;
use std::fmt;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use topology::{CellId, RegionId, SiteId};

use crate::control_plane::Cell;
use crate::drill::{Choice, Fault, ProcessRole, Scope};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process { site: SiteId, role: ProcessRole },
    Site(SiteId),
    Region { region: RegionId, cells: Vec<CellId> },
    Switchover { cell: CellId, from: RegionId, to: RegionId },
}

/// Returns the target, or why there is none. The same seed and state give the same one.
pub(crate) fn settle(fault: &Fault, cells: &[Cell], seed: u64) -> Result<Target, String> {
    let mut random = StdRng::seed_from_u64(seed);
    match fault {
        Fault::ProcessKill { cell, role } => {
            let site = active_site(cell, cells, &mut random)?;
            Ok(Target::Process { site, role: *role })
        }
        Fault::SiteKill { cell } => Ok(Target::Site(active_site(cell, cells, &mut random)?)),
        Fault::RegionKill { region } => {
            let mut homes: Vec<&RegionId> =
                cells.iter().filter_map(|cell| cell.active.as_ref()).collect();
            homes.sort();
            homes.dedup();
            let region = settled(region, &homes, &mut random).ok_or("no region has a cell")?;
            let active = cells.iter().filter(|cell| cell.active.as_ref() == Some(&region));
            let cells: Vec<CellId> = active.map(|cell| cell.id.clone()).collect();
            if cells.is_empty() {
                return Err(format!("no cell is active in {region}"));
            }
            Ok(Target::Region { region, cells })
        }
        Fault::Switchover { cell, to } => {
            let SiteId { cell, region: from } = active_site(cell, cells, &mut random)?;
            let found = cells.iter().find(|seen| seen.id == cell);
            let standbys: Vec<&RegionId> = found.iter().flat_map(|cell| &cell.standbys).collect();
            let to = settled(to, &standbys, &mut random).ok_or("it has no standby")?;
            if !standbys.contains(&&to) {
                return Err(format!("{to} is no standby of {cell}"));
            }
            Ok(Target::Switchover { cell, from, to })
        }
    }
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

impl Target {
    /// Returns the cells it hits, and where they are active.
    pub(crate) fn cells(&self) -> BTreeMap<CellId, Option<RegionId>> {
        match self {
            Self::Process { site, .. } | Self::Site(site) => {
                [(site.cell.clone(), Some(site.region.clone()))].into()
            }
            Self::Region { region, cells } => {
                cells.iter().map(|cell| (cell.clone(), Some(region.clone()))).collect()
            }
            Self::Switchover { cell, from, .. } => [(cell.clone(), Some(from.clone()))].into(),
        }
    }

    /// Returns the region whose own control plane had better not be asked.
    pub(crate) fn region(&self) -> &RegionId {
        match self {
            Self::Process { site, .. } | Self::Site(site) => &site.region,
            Self::Region { region, .. } => region,
            Self::Switchover { from, .. } => from,
        }
    }

    /// Returns why it is more than the drill may break.
    pub(crate) fn beyond(&self, scope: &Scope) -> Option<String> {
        let (cells, max) = (self.cells().len(), scope.max_cells);
        if cells > max {
            return Some(format!("{self} has {cells} active cells; scope.max-cells is {max}"));
        }
        let is_region = matches!(self, Self::Region { .. });
        (is_region && scope.max_regions == 0)
            .then(|| format!("{self} is a region; scope.max-regions is 0"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { site, role } => write!(f, "{} of {site}", role.name()),
            Self::Site(site) => site.fmt(f),
            Self::Region { region, .. } => write!(f, "region {region}"),
            Self::Switchover { cell, from, to } => write!(f, "{cell} from {from} to {to}"),
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
        let fault = Fault::RegionKill { region: Choice::Named(region("east")) };
        let target = settle(&fault, &cells, 1).unwrap();
        assert_eq!(target.cells().len(), 2);
        assert_eq!(target.to_string(), "region east");
        let scope = Scope { max_cells: 1, max_regions: 1 };
        assert_eq!(
            target.beyond(&scope),
            Some("region east has 2 active cells; scope.max-cells is 1".to_owned())
        );
    }

    #[test]
    fn the_same_seed_hits_the_same_and_seeds_hit_everything() {
        let fault = Fault::RegionKill { region: Choice::Auto };
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
        let fault = Fault::SiteKill { cell: Choice::Named("c1".parse().unwrap()) };
        assert_eq!(settle(&fault, &cells, 1), Err("c1 is active nowhere".to_owned()));
    }
}
