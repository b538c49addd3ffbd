//! Which processes `regions.yaml` asks for, and how each is started.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use topology::address::Port;
use topology::spec::End;
use topology::wire::fleet::FleetRole;
use topology::{CellId, RegionId, Spec};

use crate::run_dir::RunDir;

/// One process to keep running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// As in `fleet.json`: `etcd@east`, `control-plane@east`, `c1@east`, `router-1`.
    pub(crate) name: String,
    pub(crate) role: FleetRole,
    pub(crate) region: Option<RegionId>,
    pub(crate) cell: Option<CellId>,
    pub(crate) arguments: Vec<String>,
    /// Where it answers, if anywhere.
    pub(crate) address: Option<SocketAddr>,
    /// Whether it starts what looks for processes everywhere, and so has to see them.
    pub(crate) sees_everybody: bool,
}

impl Planned {
    /// Returns in whose network it is; `None`: in the machine's own.
    pub(crate) fn end(&self) -> Option<End> {
        match (self.role, &self.region) {
            (FleetRole::Wan, _) => None,
            (_, Some(region)) => Some(End::Region(region.clone())),
            (_, None) => Some(End::Edge),
        }
    }

    /// Returns among whose processes it lives; `None`: among the machine's.
    pub(crate) fn lives_in(&self) -> Option<End> {
        self.end().filter(|_| !self.sees_everybody)
    }
}

/// Heartbeat and election of etcd in milliseconds: the lease's times count on them
/// (`docs/decisions/0002`).
const ETCD_HEARTBEAT: &str = "100";
const ETCD_ELECTION: Duration = Duration::from_millis(500);
/// How much longer each region's member waits than the one before it, in parts of ten, where regions are
/// apart. A member waits once to twice its time; two that ask for votes while each other's question is
/// under way get none, and wait again. At 160 ms there and back that was one election in three.
const ETCD_APART: u32 = 14;
/// The longest, for whatever number of regions: below a lease's patience, which passes meanwhile.
const ETCD_ELECTION_MAX: Duration = Duration::from_millis(1400);
/// Clients may ask etcd so often whether it is there: twice as often as ours do. By its own measure of
/// 5 s it takes them for an attack, and ends their connections.
const ETCD_PINGS: &str = "500ms";
/// How much of its past etcd keeps: nobody reads it, and every renewal adds to it. Compaction comes as
/// often, so that twice as much is kept at most.
const ETCD_PAST: &str = "1m";
/// Some times what a thousand cells write in that time, by the sizes and rates of what they write;
/// etcd refuses writes beyond it.
const ETCD_QUOTA: u64 = 1024 * 1024 * 1024;

/// Returns what to start, in the order to start it: each finds what it needs already there, if all
/// goes well, and waits for it otherwise.
/// Control planes have the drills of a suite run, if one is named.
pub(crate) fn plan(spec: &Spec, run_dir: &RunDir, drills: Option<&str>) -> Vec<Planned> {
    let mut processes: Vec<Planned> = spec.is_emulated.then(|| wan(run_dir)).into_iter().collect();
    processes.extend(spec.regions.iter().map(|region| etcd(spec, run_dir, &region.id)));
    let control_planes =
        spec.regions.iter().map(|region| control_plane(spec, run_dir, &region.id, drills));
    processes.extend(control_planes);
    for cell in &spec.cells {
        processes.extend(cell.regions().map(|region| site(spec, run_dir, &cell.id, region)));
    }
    processes.extend((1..=spec.edge.routers).map(|number| router(spec, run_dir, number)));
    processes
}

fn wan(run_dir: &RunDir) -> Planned {
    Planned {
        name: "wan".to_owned(),
        role: FleetRole::Wan,
        region: None,
        cell: None,
        arguments: words(["wan", "--run-dir", &text(run_dir.path())]),
        address: None,
        sees_everybody: true,
    }
}

fn etcd(spec: &Spec, run_dir: &RunDir, region: &RegionId) -> Planned {
    Planned {
        name: format!("etcd@{region}"),
        role: FleetRole::Etcd,
        region: Some(region.clone()),
        cell: None,
        arguments: etcd_arguments(spec, region, &run_dir.etcd(region.as_str())),
        address: Some(of_region(spec, region, Port::EtcdClient)),
        sees_everybody: false,
    }
}

/// Returns how a region's member of etcd is started.
#[must_use]
pub fn etcd_arguments(spec: &Spec, region: &RegionId, data: &Path) -> Vec<String> {
    let url = |region: &RegionId, port| format!("http://{}", of_region(spec, region, port));
    let members: Vec<String> = spec
        .regions
        .iter()
        .map(|member| format!("{}={}", member.id, url(&member.id, Port::EtcdPeer)))
        .collect();
    let flags = [
        ("name", region.to_string()),
        ("data-dir", text(data)),
        ("listen-client-urls", url(region, Port::EtcdClient)),
        ("advertise-client-urls", url(region, Port::EtcdClient)),
        ("listen-peer-urls", url(region, Port::EtcdPeer)),
        ("initial-advertise-peer-urls", url(region, Port::EtcdPeer)),
        ("initial-cluster", members.join(",")),
        ("initial-cluster-state", "new".to_owned()),
        ("initial-cluster-token", "bulkhead".to_owned()),
        ("heartbeat-interval", ETCD_HEARTBEAT.to_owned()),
        ("election-timeout", election(spec, region).as_millis().to_string()),
        // Off by default before etcd 3.5: a member that comes back must not unseat the leader.
        ("pre-vote", "true".to_owned()),
        ("grpc-keepalive-min-time", ETCD_PINGS.to_owned()),
        ("auto-compaction-mode", "periodic".to_owned()),
        ("auto-compaction-retention", ETCD_PAST.to_owned()),
        ("quota-backend-bytes", ETCD_QUOTA.to_string()),
        ("logger", "zap".to_owned()),
        ("log-level", "warn".to_owned()),
    ];
    flags.into_iter().map(|(flag, value)| format!("--{flag}={value}")).collect()
}

/// Returns how long a region's member of etcd hears of no leader before it stands for election itself.
fn election(spec: &Spec, region: &RegionId) -> Duration {
    if spec.round_trip.is_zero() {
        return ETCD_ELECTION;
    }
    let before = spec.regions.iter().take_while(|other| other.id != *region);
    let apart = before.fold(ETCD_ELECTION, |timeout, _| timeout * ETCD_APART / 10);
    apart.min(ETCD_ELECTION_MAX)
}

fn control_plane(
    spec: &Spec,
    run_dir: &RunDir,
    region: &RegionId,
    drills: Option<&str>,
) -> Planned {
    let mut arguments = words(["--region", region.as_str()]);
    arguments.extend(common(run_dir));
    arguments.extend(drills.into_iter().flat_map(|suite| words(["--drills", suite])));
    Planned {
        name: format!("control-plane@{region}"),
        role: FleetRole::ControlPlane,
        region: Some(region.clone()),
        cell: None,
        arguments,
        address: Some(of_region(spec, region, Port::ControlPlane)),
        sees_everybody: drills.is_some(),
    }
}

fn site(spec: &Spec, run_dir: &RunDir, cell: &CellId, region: &RegionId) -> Planned {
    let mut arguments = words(["site", "--cell", cell.as_str(), "--region", region.as_str()]);
    arguments.extend(common(run_dir));
    let address = spec.site_address(cell, region, Port::Agent).expect("a parsed spec has the site");
    Planned {
        name: format!("{cell}@{region}"),
        role: FleetRole::Site,
        region: Some(region.clone()),
        cell: Some(cell.clone()),
        arguments,
        address: Some(address),
        sees_everybody: false,
    }
}

fn router(spec: &Spec, run_dir: &RunDir, number: u16) -> Planned {
    let mut arguments = words(["--id", &number.to_string()]);
    arguments.extend(common(run_dir));
    Planned {
        name: format!("router-{number}"),
        role: FleetRole::Router,
        region: None,
        cell: None,
        arguments,
        address: Some(spec.router_admin_address(number)),
        sees_everybody: false,
    }
}

fn common(run_dir: &RunDir) -> Vec<String> {
    words(["--spec", &text(&run_dir.spec()), "--run-dir", &text(run_dir.path())])
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn of_region(spec: &Spec, region: &RegionId, port: Port) -> SocketAddr {
    spec.region_address(region, port).expect("a parsed spec has the region")
}

#[cfg(test)]
mod tests;
