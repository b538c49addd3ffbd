//! What is stored in etcd, as types.

mod drills;
pub mod etcd;
mod evidence;
mod history;
pub mod operation;
pub mod operations;
pub mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::Malformed;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::lease::LeaseRecord;
use topology::wire::lever::{FreezeRecord, RegionRecord};
use topology::wire::operation::OperationRecord;
use topology::wire::placement::PlacementRecord;
use topology::wire::report::{RouterReport, SiteReport};
use topology::wire::vantage::VantageReport;
use topology::{CellId, Epoch, Placement, RegionId, SiteId, Version};

use crate::decide::operation::Operation;
use crate::decide::operation::stranger::Stranger;

/// A value and what wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// For compare-and-swap.
    pub revision: u64,
    /// For telling which of two is newer.
    pub version: Version,
    pub value: T,
}

/// The active site's record lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub holder: RegionId,
    pub epoch: Epoch,
    /// Another one with each renewal.
    pub sequence: u64,
}

/// What a person has said about moving anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub frozen: bool,
    pub reason: String,
    pub who: String,
    pub since_unix_ms: u64,
    /// When it ends by itself.
    pub until_unix_ms: Option<u64>,
}

/// Everything that decisions rest on, read at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What began the generation of etcd's history that this is; the first begins with nothing.
    pub generation: Version,
    pub placement: Option<Placement>,
    pub cells: BTreeMap<CellId, Kept<RoutedCell>>,
    pub leases: BTreeMap<CellId, Kept<Lease>>,
    /// When this observer heard of those leases, where that was before it read them.
    pub renewed: BTreeMap<CellId, Instant>,
    pub sites: BTreeMap<SiteId, SiteReport>,
    pub routers: BTreeMap<String, RouterReport>,
    pub vantages: BTreeMap<RegionId, Arc<VantageReport>>,
    pub operations: BTreeMap<String, Kept<Operation>>,
    /// Those that go on and are not understood here.
    pub strangers: BTreeMap<String, Stranger>,
    pub drained: BTreeSet<RegionId>,
    pub freeze: Option<Kept<Freeze>>,
    /// The wall clock's time of the reading: a freeze may end by it.
    pub read_unix_ms: u64,
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
                reading.suppose_the_worst(entry, &err);
                let kept = kept(entry, err.to_string());
                reading.malformed.insert(entry.key.clone(), kept);
            }
        }
        reading
    }

    /// What a person has set and cannot be read holds as far as it might: nothing is moved that they may
    /// have wanted to stay.
    fn suppose_the_worst(&mut self, entry: &client::etcd::Stored, why: &Malformed) {
        if entry.key == key::FREEZE {
            let freeze = Freeze {
                frozen: true,
                reason: format!("what is stored about a freeze is not understood: {why}"),
                who: "control plane".to_owned(),
                since_unix_ms: 0,
                until_unix_ms: None,
            };
            self.freeze = Some(kept(entry, freeze));
        } else if let Some(Ok(region)) = entry.key.strip_prefix(key::REGIONS).map(str::parse) {
            self.drained.insert(region);
        } else if let Some(id) = entry.key.strip_prefix(key::OPERATIONS)
            && let Some(stranger) = operation::stranger(&entry.value)
        {
            self.strangers.insert(id.to_owned(), stranger);
        }
    }

    /// Returns the newest version among the keys that are never deleted: an older reading than the
    /// one before shows a smaller number.
    #[must_use]
    pub fn newest(&self) -> Version {
        let cells = self.cells.values().map(|kept| kept.version);
        let leases = self.leases.values().map(|kept| kept.version);
        let placement = self.placement.as_ref().map(Placement::version);
        let of_these = |key: &str| {
            key == key::PLACEMENT || key.starts_with(key::CELLS) || key.starts_with(key::LEASES)
        };
        let malformed = self.malformed.iter().filter(|(key, _)| of_these(key));
        let malformed = malformed.map(|(_, kept)| kept.version);
        let newest = cells.chain(leases).chain(placement).chain(malformed).max();
        newest.unwrap_or_default().max(self.generation)
    }

    fn take(&mut self, entry: &client::etcd::Stored) -> Result<(), Malformed> {
        let (key, value) = (entry.key.as_str(), &entry.value);
        if key == key::GENERATION {
            self.generation = entry.version;
        } else if key == key::PLACEMENT {
            let record: PlacementRecord = serde_json::from_slice(value)?;
            self.placement = Some(record.into_placement(entry.version)?);
        } else if let Some(cell) = key.strip_prefix(key::CELLS) {
            let record: CellRecord = serde_json::from_slice(value)?;
            self.cells.insert(cell.parse()?, kept(entry, record.try_into()?));
        } else if let Some(cell) = key.strip_prefix(key::LEASES) {
            let record: LeaseRecord = serde_json::from_slice(value)?;
            let lease = Lease {
                holder: record.holder.parse()?,
                epoch: Epoch(record.epoch),
                sequence: record.sequence,
            };
            self.leases.insert(cell.parse()?, kept(entry, lease));
        } else if let Some(site) = key.strip_prefix(key::SITES) {
            let (cell, region) = site
                .split_once('/')
                .ok_or_else(|| Malformed::Value(format!("{site:?} is not cell/region")))?;
            let site = SiteId { cell: cell.parse()?, region: region.parse()? };
            self.sites.insert(site, serde_json::from_slice(value)?);
        } else if let Some(router) = key.strip_prefix(key::ROUTERS) {
            self.routers.insert(router.to_owned(), serde_json::from_slice(value)?);
        } else if let Some(vantage) = key.strip_prefix(key::VANTAGES) {
            let report = Arc::new(serde_json::from_slice(value)?);
            self.vantages.insert(vantage.parse()?, report);
        } else if let Some(id) = key.strip_prefix(key::OPERATIONS) {
            let record: OperationRecord = serde_json::from_slice(value)?;
            self.operations.insert(id.to_owned(), kept(entry, operation::operation(record)?));
        } else if let Some(region) = key.strip_prefix(key::REGIONS) {
            let record: RegionRecord = serde_json::from_slice(value)?;
            if record.drained {
                self.drained.insert(region.parse()?);
            }
        } else if key == key::FREEZE {
            let record: FreezeRecord = serde_json::from_slice(value)?;
            self.freeze = Some(kept(entry, record.into()));
        }
        Ok(())
    }
}

impl From<FreezeRecord> for Freeze {
    fn from(record: FreezeRecord) -> Self {
        let FreezeRecord { frozen, reason, who, since_unix_ms, until_unix_ms } = record;
        Self { frozen, reason, who, since_unix_ms, until_unix_ms }
    }
}

impl From<&Freeze> for FreezeRecord {
    fn from(freeze: &Freeze) -> Self {
        let Freeze { frozen, reason, who, since_unix_ms, until_unix_ms } = freeze.clone();
        Self { frozen, reason, who, since_unix_ms, until_unix_ms }
    }
}

fn kept<T>(entry: &client::etcd::Stored, value: T) -> Kept<T> {
    Kept { revision: entry.revision, version: entry.version, value }
}

#[cfg(test)]
impl<T> Kept<T> {
    /// What is written in a history that never went back.
    pub(crate) fn at(revision: u64, value: T) -> Self {
        Self { revision, version: Version(revision), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_set_and_cannot_be_read_holds() {
        let reading = Reading::parse(&[
            entry("freeze", r#"{"frozen":"perhaps"}"#, 41),
            entry("regions/east", "{", 42),
            entry("regions/north", r#"{"drained":false,"operation":"op-1","since_unix_ms":1}"#, 43),
        ]);
        let freeze = reading.freeze.unwrap();
        assert!(freeze.value.frozen && freeze.revision == 41, "{freeze:?}");
        assert!(freeze.value.reason.contains("is not understood"), "{freeze:?}");
        assert_eq!(reading.drained, ["east".parse().unwrap()].into());
        let told = ["/bulkhead/v1/freeze", "/bulkhead/v1/regions/east"];
        assert_eq!(reading.malformed.keys().collect::<Vec<_>>(), told);
    }

    fn entry(key: &str, value: &str, revision: u64) -> client::etcd::Stored {
        client::etcd::Stored {
            key: format!("{}{key}", key::PREFIX),
            value: value.as_bytes().to_vec(),
            revision,
            version: Version(revision),
        }
    }

    #[test]
    fn one_bad_value_costs_one_key() {
        let reading = Reading::parse(&[
            entry("leases/c1", r#"{"holder":"east","epoch":7,"sequence":3}"#, 41),
            entry("leases/c2", "{", 42),
            entry("audit/1", "for others", 43),
        ]);
        let c1 =
            Kept::at(41, Lease { holder: "east".parse().unwrap(), epoch: Epoch(7), sequence: 3 });
        assert_eq!(reading.leases, [("c1".parse().unwrap(), c1)].into());
        assert_eq!(reading.malformed.keys().collect::<Vec<_>>(), ["/bulkhead/v1/leases/c2"]);
        assert_eq!(reading.newest(), Version(42));
    }
}
