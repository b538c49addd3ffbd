//! A snapshot with as many cells as wanted, each served in one of two regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use topology::snapshot::RoutedCell;
use topology::{Activation, CellId, Epoch, Phase, Placement, RegionId, Snapshot, Version};

pub(crate) fn snapshot(cells: usize, epoch: u64) -> Arc<Snapshot> {
    let regions = ["east", "north"].map(|id| id.parse::<RegionId>().expect("an id"));
    let ids: Vec<CellId> =
        (0..cells).map(|number| format!("c{number}").parse().expect("an id")).collect();
    let weights: BTreeMap<CellId, u32> = ids.iter().map(|id| (id.clone(), 1)).collect();
    let routed = |number: usize| RoutedCell {
        activation: Activation {
            epoch: Epoch(epoch),
            phase: Phase::Steady { active: regions[number % 2].clone() },
            voters: [].into(),
            retired: [].into(),
            acks: 1,
            system: None,
            elected_at: None,
            cause: None,
            reason: String::new(),
        },
        gateways: regions
            .iter()
            .map(|region| (region.clone(), ([127, 0, 0, 1], 9).into()))
            .collect(),
    };
    Arc::new(Snapshot {
        version: Version(epoch),
        placement: Placement::plan(&weights, Version(1)),
        cells: ids.into_iter().enumerate().map(|(n, id)| (id, routed(n))).collect(),
    })
}
