//! What is stored in etcd, as types.

pub mod etcd;

use std::collections::BTreeMap;

use topology::snapshot::RoutedCell;
use topology::wire::Malformed;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::lease::LeaseRecord;
use topology::wire::placement::PlacementRecord;
use topology::wire::report::{RouterReport, SiteReport};
use topology::{CellId, Epoch, Placement, RegionId, SiteId, Version};

/// A value and the revision that wrote it, for compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    pub revision: u64,
    pub value: T,
}

/// The active site's record lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub holder: RegionId,
    pub epoch: Epoch,
}

/// Everything under the prefix, read at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub placement: Option<Placement>,
    pub cells: BTreeMap<CellId, Kept<RoutedCell>>,
    pub leases: BTreeMap<CellId, Kept<Lease>>,
    pub sites: BTreeMap<SiteId, SiteReport>,
    pub routers: BTreeMap<String, RouterReport>,
    /// Keys whose value means nothing here, and why. They are left out above, so that one bad value
    /// costs one cell and not all of them.
    pub malformed: BTreeMap<String, Kept<String>>,
}

impl Reading {
    /// Sorts what was read into its types; keys of others are passed over.
    #[must_use]
    pub fn parse(entries: &[client::etcd::Stored]) -> Self {
        let mut reading = Self::default();
        for entry in entries {
            if let Err(err) = reading.take(entry) {
                let kept = Kept { revision: entry.revision, value: err.to_string() };
                reading.malformed.insert(entry.key.clone(), kept);
            }
        }
        reading
    }

    /// Returns the newest revision among the keys that are never deleted: an older reading than the
    /// one before shows a smaller number.
    #[must_use]
    pub fn newest(&self) -> u64 {
        let cells = self.cells.values().map(|kept| kept.revision);
        let leases = self.leases.values().map(|kept| kept.revision);
        let placement = self.placement.as_ref().map(|placement| placement.version().0);
        let of_these = |key: &str| {
            key == key::PLACEMENT || key.starts_with(key::CELLS) || key.starts_with(key::LEASES)
        };
        let malformed = self.malformed.iter().filter(|(key, _)| of_these(key));
        let malformed = malformed.map(|(_, kept)| kept.revision);
        cells.chain(leases).chain(placement).chain(malformed).max().unwrap_or(0)
    }

    fn take(&mut self, entry: &client::etcd::Stored) -> Result<(), Malformed> {
        let (key, value, revision) = (entry.key.as_str(), &entry.value, entry.revision);
        if key == key::PLACEMENT {
            let record: PlacementRecord = serde_json::from_slice(value)?;
            self.placement = Some(record.into_placement(Version(revision))?);
        } else if let Some(cell) = key.strip_prefix(key::CELLS) {
            let record: CellRecord = serde_json::from_slice(value)?;
            self.cells.insert(cell.parse()?, Kept { revision, value: record.try_into()? });
        } else if let Some(cell) = key.strip_prefix(key::LEASES) {
            let record: LeaseRecord = serde_json::from_slice(value)?;
            let lease = Lease { holder: record.holder.parse()?, epoch: Epoch(record.epoch) };
            self.leases.insert(cell.parse()?, Kept { revision, value: lease });
        } else if let Some(site) = key.strip_prefix(key::SITES) {
            let (cell, region) = site
                .split_once('/')
                .ok_or_else(|| Malformed::Value(format!("{site:?} is not cell/region")))?;
            let site = SiteId { cell: cell.parse()?, region: region.parse()? };
            self.sites.insert(site, serde_json::from_slice(value)?);
        } else if let Some(router) = key.strip_prefix(key::ROUTERS) {
            self.routers.insert(router.to_owned(), serde_json::from_slice(value)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_value_costs_one_key() {
        let entry = |key: &str, value: &str, revision| client::etcd::Stored {
            key: format!("{}{key}", key::PREFIX),
            value: value.as_bytes().to_vec(),
            revision,
        };
        let reading = Reading::parse(&[
            entry("leases/c1", r#"{"holder":"east","epoch":7,"sequence":3}"#, 41),
            entry("leases/c2", "{", 42),
            entry("audit/1", "for others", 43),
        ]);
        let c1 = Kept {
            revision: 41,
            value: Lease { holder: "east".parse().unwrap(), epoch: Epoch(7) },
        };
        assert_eq!(reading.leases, [("c1".parse().unwrap(), c1)].into());
        assert_eq!(reading.malformed.keys().collect::<Vec<_>>(), ["/bulkhead/v1/leases/c2"]);
        assert_eq!(reading.newest(), 42);
    }
}
