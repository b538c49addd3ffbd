//! Walks the file once and collects findings instead of stopping at the first.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use marked_yaml::{LoaderOptions, Node, parse_yaml_with_options};

use super::reader::{Reader, Section, line_of};
use super::{
    Backup, Cell, Durability, Finding, LeasePolicy, Network, Problem, Region, Repository, S3, Spec,
};
use crate::{CellId, RegionId};

/// As many as one etcd and one control plane in each region are meant to carry; what they do carry has
/// yet to be measured (docs/scale.md). There are addresses for more.
const CELLS_MAX: usize = 1000;
const WEIGHT_MAX: u32 = 100;
/// All the cells there can be, at their greatest weight.
const CAPACITY_MAX: u32 = 25_000;
const KEEP: RangeInclusive<u32> = 1..=1000;
/// Light goes around the world and back in 268 ms.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);
/// Shorter would fill the archive with empty WAL, longer would make it worth little.
const ARCHIVE_EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

pub(super) fn read(text: &str) -> Result<Spec, Vec<Finding>> {
    let options = LoaderOptions::default().error_on_duplicate_keys(true);
    let root = match parse_yaml_with_options(0, text, options) {
        Ok(root) => root,
        Err(err) => {
            let line = text_line(&err.to_string());
            let problem = Problem::NotYaml(err.to_string());
            return Err(vec![Finding { line, place: "regions.yaml".to_owned(), problem }]);
        }
    };
    let mut reader = Reader::default();
    let spec = reader.spec(&root);
    match spec {
        Some(spec) if reader.findings.is_empty() => Ok(spec),
        Some(_) | None => {
            reader.findings.sort_by(|a, b| (a.line, &a.place).cmp(&(b.line, &b.place)));
            Err(reader.findings)
        }
    }
}

/// Returns the line a loader's message names, as in `2:5: …`.
fn text_line(message: &str) -> usize {
    message.split([':', ' ']).find_map(|word| word.parse().ok()).unwrap_or(0)
}

impl Reader {
    fn spec(&mut self, root: &Node) -> Option<Spec> {
        let root = self.section(
            root,
            String::new(),
            &[
                "version",
                "regions",
                "cells",
                "edge",
                "control-plane",
                "lease",
                "messages",
                "backup",
                "change-windows",
                "wan",
                "emulated",
                "round-trip",
            ],
        )?;
        if let Some(version) = self.parsed::<u32>(&root, "version", "the number 1")
            && version != 1
        {
            self.report(
                &root,
                "version",
                Problem::OutOfRange(version.to_string(), "this program reads version 1"),
            );
        }
        let regions = self.regions(&root);
        let cells = self.cells(&root, &regions);
        let edge = self.edge(&root);
        let control_plane_tls = self.control_plane(&root);
        let lease = self.lease(&root);
        let messages = self.one_of(
            &root,
            "messages",
            &[("weak", Durability::Weak), ("strong", Durability::Strong)],
        );
        let backup = self.backup(&root);
        let change_windows = self.change_windows(&root);
        let wan = self.wan(&root, &regions);
        let is_emulated = root.map.get_node("emulated").is_some()
            && self.parsed::<bool>(&root, "emulated", "true or false") == Some(true);
        let edge = match &wan {
            Some(wan) if is_emulated => edge.map(|edge| edge.moved_to(wan.edge)),
            Some(_) | None => edge,
        };
        if is_emulated && root.map.get_node("wan").is_none() {
            self.report(&root, "emulated", Problem::NoDistances);
        }
        let emulated = wan.as_ref().filter(|_| is_emulated);
        let round_trip = match (self.round_trip(&root), emulated) {
            (_, Some(wan)) => wan.round_trip(),
            (written, None) => written,
        };
        Some(Spec {
            regions,
            cells,
            edge: edge?,
            control_plane_tls,
            lease: lease?,
            messages: messages?,
            backup: backup?,
            change_windows,
            wan,
            is_emulated,
            round_trip,
        })
    }

    fn regions(&mut self, root: &Section<'_>) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        for item in self.list(root, "regions", &["id", "name", "network", "capacity"]) {
            let id = self.id::<RegionId>(&item, "id");
            let name = self.text(&item, "name").map(|node| node.as_str().to_owned());
            let network = self.network(&item, "network");
            let capacity = item.map.get_node("capacity").is_some().then_some(());
            let capacity = capacity.and_then(|()| self.capacity(&item));
            let (Some(id), Some(name), Some(network)) = (id, name, network) else { continue };
            if regions.iter().any(|listed| listed.id == id) {
                self.report(&item, "id", Problem::Repeated(format!("region {id}")));
            }
            if let Some(other) = regions.iter().find(|listed| listed.network == network) {
                let problem = Problem::NetworkTaken(network.to_string(), other.id.clone());
                self.report(&item, "network", problem);
            }
            regions.push(Region { id, name, network, capacity });
        }
        regions
    }

    fn capacity(&mut self, item: &Section<'_>) -> Option<u32> {
        let capacity = self.parsed::<u32>(item, "capacity", "a whole number")?;
        if capacity == 0 || capacity > CAPACITY_MAX {
            self.report(item, "capacity", Problem::OutOfRange(capacity.to_string(), "1 to 25000"));
        }
        Some(capacity)
    }

    fn cells(&mut self, root: &Section<'_>, regions: &[Region]) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        let items = self.list(root, "cells", &["id", "weight", "home", "standbys"]);
        if items.len() > CELLS_MAX {
            let count = format!("{} cells", items.len());
            self.report(root, "cells", Problem::OutOfRange(count, "at most 1000"));
        }
        let mut complete = !items.is_empty();
        for item in items {
            let id = self.id::<CellId>(&item, "id");
            let weight = self.parsed::<u32>(&item, "weight", "a whole number");
            let home = self.region(&item, "home", regions);
            let standbys = self.standbys(&item, regions);
            if let Some(weight) = weight.filter(|weight| *weight > WEIGHT_MAX) {
                self.report(&item, "weight", Problem::OutOfRange(weight.to_string(), "0 to 100"));
            }
            let (Some(id), Some(weight), Some(home), Some(standbys)) = (id, weight, home, standbys)
            else {
                complete = false;
                continue;
            };
            if cells.iter().any(|listed| listed.id == id) {
                self.report(&item, "id", Problem::Repeated(format!("cell {id}")));
            }
            if standbys.contains(&home) {
                self.report(&item, "standbys", Problem::StandbyAtHome(home.clone()));
            } else if standbys.len() < 2 {
                self.report(&item, "standbys", Problem::TooFewStandbys(id.clone()));
            }
            cells.push(Cell { id, weight, home, standbys });
        }
        if complete && cells.iter().all(|cell| cell.weight == 0) {
            self.report(root, "cells", Problem::NobodyServes);
        }
        cells
    }

    fn standbys(&mut self, item: &Section<'_>, regions: &[Region]) -> Option<Vec<RegionId>> {
        let node = self.get(item, "standbys")?;
        let place = item.place_of("standbys");
        let Node::Sequence(list) = node else {
            self.mistyped(node, place, "a list of regions");
            return None;
        };
        let mut standbys = Vec::new();
        for (index, node) in list.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let line = line_of(node.span());
            let Node::Scalar(scalar) = node else {
                self.mistyped(node, place, "a region's id");
                return None;
            };
            let region: RegionId = match scalar.as_str().parse() {
                Ok(region) => region,
                Err(err) => {
                    self.push(line, place, Problem::InvalidId(err));
                    return None;
                }
            };
            if !regions.iter().any(|listed| listed.id == region) {
                self.push(line, place, Problem::UnknownRegion(region));
                return None;
            }
            if standbys.contains(&region) {
                self.push(line, place, Problem::Repeated(format!("region {region}")));
                return None;
            }
            standbys.push(region);
        }
        Some(standbys)
    }

    fn lease(&mut self, root: &Section<'_>) -> Option<LeasePolicy> {
        let node = self.get(root, "lease")?;
        let lease = self.section(node, "lease".to_owned(), &["renew", "right", "patience"])?;
        let renew = self.duration(&lease, "renew");
        let right = self.duration(&lease, "right");
        let patience = self.duration(&lease, "patience");
        let policy = LeasePolicy { renew: renew?, right: right?, patience: patience? };
        if !policy.is_safe() {
            self.report(root, "lease", Problem::UnsafeLease(policy));
        }
        Some(policy)
    }

    /// Nothing, where it is left out: on one machine, or in one town.
    fn round_trip(&mut self, root: &Section<'_>) -> Duration {
        let key = "round-trip";
        if root.map.get_node(key).is_none() {
            return Duration::ZERO;
        }
        let round_trip = self.duration(root, key).unwrap_or_default();
        if round_trip > ROUND_TRIP_MAX {
            let problem = Problem::OutOfRange(format!("{round_trip:?}"), "at most 1 second");
            self.report(root, key, problem);
        }
        round_trip
    }

    /// The one section that may be left out.
    fn backup(&mut self, root: &Section<'_>) -> Option<Backup> {
        let Some(node) = root.map.get_node("backup") else { return Some(Backup::default()) };
        let keys = ["repository", "keep", "base-every", "archive-every", "steady"];
        let backup = self.section(node, "backup".to_owned(), &keys)?;
        let repository = self.repository(&backup);
        let keep_full = self.parsed::<u32>(&backup, "keep", "a number of base backups");
        if let Some(keep) = keep_full.filter(|keep| !KEEP.contains(keep)) {
            self.report(&backup, "keep", Problem::OutOfRange(keep.to_string(), "1 to 1000"));
        }
        let base_every = self.duration(&backup, "base-every");
        let archive_every = self.duration(&backup, "archive-every");
        if let Some(every) = archive_every.filter(|every| !ARCHIVE_EVERY.contains(every)) {
            let problem = Problem::OutOfRange(format!("{every:?}"), "1 second to 1 hour");
            self.report(&backup, "archive-every", problem);
        }
        let steady = self.duration(&backup, "steady");
        Some(Backup {
            repository: repository?,
            keep_full: keep_full?,
            base_every: base_every?,
            archive_every: archive_every?,
            steady: steady?,
        })
    }

    /// A folder, or a mapping with where the bucket is.
    fn repository(&mut self, backup: &Section<'_>) -> Option<Repository> {
        let node = self.get(backup, "repository")?;
        if let Node::Scalar(folder) = node {
            return Some(Repository::Folder(PathBuf::from(folder.as_str())));
        }
        let place = backup.place_of("repository");
        let repository = self.section(node, place, &["s3"])?;
        let node = self.get(&repository, "s3")?;
        let keys = ["endpoint", "bucket", "region", "key-file"];
        let s3 = self.section(node, repository.place_of("s3"), &keys)?;
        let endpoint = self.text(&s3, "endpoint").map(|node| node.as_str().to_owned());
        if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| endpoint.contains("://")) {
            let (expected, found) = ("a host without https://", format!("{endpoint:?}"));
            self.report(&s3, "endpoint", Problem::WrongType { expected, found });
        }
        let bucket = self.text(&s3, "bucket").map(|node| node.as_str().to_owned());
        let region = self.text(&s3, "region").map(|node| node.as_str().to_owned());
        let key_file = self.text(&s3, "key-file").map(|node| PathBuf::from(node.as_str()));
        Some(Repository::S3(S3 {
            endpoint: endpoint?,
            bucket: bucket?,
            region: region?,
            key_file: key_file?,
        }))
    }

    pub(super) fn network(&mut self, item: &Section<'_>, key: &'static str) -> Option<Network> {
        let node = self.text(item, key)?;
        let octets = node.as_str().strip_suffix(".0.0/16").and_then(|prefix| {
            let (a, b) = prefix.split_once('.')?;
            Some([a.parse().ok()?, b.parse().ok()?])
        });
        if octets.is_none() {
            let found = format!("{:?}", node.as_str());
            let expected = "a network such as 127.1.0.0/16";
            self.report(item, key, Problem::WrongType { expected, found });
        }
        octets.map(Network)
    }

    fn region(
        &mut self,
        item: &Section<'_>,
        key: &'static str,
        regions: &[Region],
    ) -> Option<RegionId> {
        let region = self.id::<RegionId>(item, key)?;
        if !regions.iter().any(|listed| listed.id == region) {
            self.report(item, key, Problem::UnknownRegion(region));
            return None;
        }
        Some(region)
    }
}
