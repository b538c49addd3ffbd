//! The router as users run it, on what it last knew: there is no etcd, and it needs none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use client::last_known_good::LastKnownGood;
use topology::snapshot::RoutedCell;
use topology::{Activation, CellId, Epoch, Phase, Placement, RegionId, Snapshot, Version};

use super::write;
use crate::users::KEY;

const REGIONS: [&str; 3] = ["east", "north", "south"];
/// Every request is counted, and none is one too many.
const LIMITS: &str = "{user: {rate: 10000000, burst: 10000000}, \
                      cell: {rate: 10000000, burst: 10000000}}";

pub(crate) fn prepare(
    folder: &Path,
    address: SocketAddr,
    program: &Path,
    gateways: &[SocketAddr],
) -> anyhow::Result<Vec<String>> {
    let secrets = folder.join("secrets");
    std::fs::create_dir_all(&secrets).context("make a folder for the key")?;
    write(&secrets, "identity.key", KEY)?;
    LastKnownGood::open(folder.join("routers/1/snapshots"))?.keep(&snapshot(gateways)?)?;
    let spec = write(folder, "regions.yaml", &spec(address))?;
    let (program, folder) = (program.to_string_lossy(), folder.to_string_lossy());
    let words = [&*program, "--id", "1", "--spec", &spec, "--run-dir", &folder];
    Ok(words.map(ToOwned::to_owned).into())
}

fn spec(address: SocketAddr) -> String {
    let admin = SocketAddr::new(address.ip(), address.port() + 1000);
    format!(
        "version: 1
regions:
  - {{id: east, name: east, network: 127.201.0.0/16}}
  - {{id: north, name: north, network: 127.202.0.0/16}}
  - {{id: south, name: south, network: 127.203.0.0/16}}
cells:
  - {{id: c1, weight: 1, home: east, standbys: [north, south]}}
  - {{id: c2, weight: 1, home: north, standbys: [south, east]}}
  - {{id: c3, weight: 1, home: south, standbys: [east, north]}}
edge: {{listen: \"{address}\", admin: \"{admin}\", routers: 1, limits: {LIMITS}}}
lease: {{renew: 500ms, right: 1600ms, patience: 2s}}
messages: weak
"
    )
}

/// Three cells, each active at a site of its own.
fn snapshot(gateways: &[SocketAddr]) -> anyhow::Result<Snapshot> {
    let routed = cells()?
        .into_iter()
        .zip(REGIONS)
        .zip(gateways)
        .map(|((cell, region), gateway)| Ok((cell, active(region.parse()?, *gateway))))
        .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    Ok(Snapshot { version: Version(1), placement: placement()?, cells: routed })
}

/// Returns which users are whose.
pub(crate) fn placement() -> anyhow::Result<Placement> {
    let weights = cells()?.into_iter().map(|cell| (cell, 1)).collect();
    Ok(Placement::plan(&weights, Version(1)))
}

fn cells() -> anyhow::Result<Vec<CellId>> {
    ["c1", "c2", "c3"].iter().map(|cell| cell.parse().context("name a cell")).collect()
}

fn active(region: RegionId, gateway: SocketAddr) -> RoutedCell {
    let activation = Activation {
        epoch: Epoch(1),
        phase: Phase::Steady { active: region.clone() },
        voters: [].into(),
        retired: [].into(),
        acks: 1,
        system: None,
        elected_at: None,
        cause: None,
        reason: "measured".to_owned(),
    };
    RoutedCell { activation, gateways: [(region, gateway)].into() }
}
