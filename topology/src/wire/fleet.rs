//! `fleet.json` in the run directory: every process the platform started, for those who must find
//! them: `platform status`, `platform logs` and drills.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// The supervisor itself.
    pub supervisor: u32,
    /// The applied `regions.yaml`, absolute.
    pub spec: String,
    pub processes: Vec<FleetProcess>,
    /// By region, and `edge`: where its network namespace is, if it has one of its own. Valid for as
    /// long as the supervisor lives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub namespaces: BTreeMap<String, String>,
    /// Likewise: the first process of its process namespace. Whatever lives there dies with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inits: BTreeMap<String, FleetInit>,
}

/// A process of the machine, as [`FleetProcess`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetInit {
    pub pid: u32,
    pub start_time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetProcess {
    /// `etcd@east`, `control-plane@east`, `c1@east` (a site's agent, parent of all that runs
    /// there), `router-1`.
    pub name: String,
    pub role: FleetRole,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// `None` while it is not running.
    pub pid: Option<u32>,
    /// Field 22 of `/proc/PID/stat`: with the pid it names one process for good.
    pub start_time: Option<u64>,
    pub restarts: u32,
    /// Where it answers, if it does.
    pub address: Option<SocketAddr>,
    pub log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FleetRole {
    Etcd,
    ControlPlane,
    Site,
    Router,
    /// The emulated WAN: no part of the platform, but of the world it is in.
    Wan,
}

/// `holds/{process name}.json` in the run directory: do not start this process again before then.
/// The supervisor looks each time it would restart something; a hold past its time does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Nanoseconds of the machine's boot-time clock.
    pub until: u64,
    pub reason: String,
}
