//! Going back to what was routed by before, without going back in time.
//!
//! ```text
//!   from the earlier snapshot     placement; each site's address, where it has one
//!   from the latest               version; every cell's epoch and phase; addresses it alone has
//! ```
//!
//! A site's right does not come back with a table: versions and epochs stay (I2), so that no request
//! goes out under an epoch that has been superseded, and whoever compares versions sees none shrink.

use std::collections::BTreeMap;

use super::{RoutedCell, Snapshot};
use crate::CellId;

impl Snapshot {
    /// Returns `self` with the placement and the addresses of `earlier`.
    ///
    /// A cell that only the earlier one has comes back under the activation in `last_seen`, the last
    /// one it was listed with.
    #[must_use]
    pub fn rolled_back(&self, earlier: &Self, last_seen: &BTreeMap<CellId, RoutedCell>) -> Self {
        let mut cells = self.cells.clone();
        for (id, old) in &earlier.cells {
            let cell =
                cells.entry(id.clone()).or_insert_with(|| last_seen.get(id).unwrap_or(old).clone());
            if cell.activation.epoch < old.activation.epoch {
                cell.activation = old.activation.clone();
            }
            for (region, gateway) in &old.gateways {
                cell.gateways.insert(region.clone(), *gateway);
            }
        }
        Self { version: self.version, placement: earlier.placement.clone(), cells }
    }
}
