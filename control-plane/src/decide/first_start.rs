//! What exists from the first start on: the placement, and each cell active at home.

use topology::address::Port;
use topology::snapshot::RoutedCell;
use topology::spec::Cell;
use topology::{Activation, Epoch, Phase, Placement, Spec, Version};

use super::{Action, Policy, State};

/// Returns what is missing. A cell that was ever seen is never made anew: its key may be gone, but
/// its epochs have been used.
#[must_use]
pub fn decide(state: &State, policy: &Policy) -> Vec<Action> {
    let placement = (!state.placement_is_stored()).then_some(Action::CreatePlacement);
    let cells = policy.cells.iter().filter(|cell| !state.cells().contains_key(*cell));
    placement
        .into_iter()
        .chain(cells.map(|cell| Action::CreateCell { cell: cell.clone() }))
        .collect()
}

/// Returns the placement to write where there is none: the one that was there before, if there was.
#[must_use]
pub fn placement(spec: &Spec, state: &State) -> Placement {
    let known = state.placement().cloned();
    known.unwrap_or_else(|| Placement::plan(&spec.weights(), Version::default()))
}

/// Returns the first activation of a cell: its home makes the first database.
#[must_use]
pub fn cell(spec: &Spec, cell: &Cell) -> RoutedCell {
    let activation = Activation {
        epoch: Epoch(1),
        phase: Phase::Promoting { active: cell.home.clone() },
        voters: cell.standbys.iter().cloned().collect(),
        retired: [].into(),
        acks: 1,
        system: None,
        elected_at: None,
        cause: None,
        reason: "first start".to_owned(),
    };
    let gateways = cell
        .regions()
        .filter_map(|region| {
            Some((region.clone(), spec.site_address(&cell.id, region, Port::Gateway)?))
        })
        .collect();
    RoutedCell { activation, gateways }
}
