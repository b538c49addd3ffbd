//! `sites/{cell}/{region}` and `routers/{id}`: what processes say of themselves. For people and for
//! the control plane's picture; nothing safe rests on it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::TenureName;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteReport {
    pub sequence: u64,
    pub tenure: TenureName,
    pub epoch: u64,
    /// What PostgreSQL is doing there: `primary`, `standby`, `stopped`, `rewinding`, `cloning` ….
    pub postgres: String,
    /// The furthest WAL position the site has, in bytes.
    pub lsn: u64,
    pub timeline: u32,
    /// How far each connected standby is behind; only the active site knows.
    #[serde(default)]
    pub lag_bytes: BTreeMap<String, u64>,
    /// How long its PostgreSQL takes to have what it commits on disk; only where it is the primary.
    #[serde(default)]
    pub flush: Option<Flush>,
    /// What is left where its PostgreSQL writes; missing where that cannot be told.
    #[serde(default)]
    pub room: Option<Room>,
    /// Each service and whether it answers.
    pub services: BTreeMap<String, bool>,
    /// The site serves, but the loss of its region would lose writes: too few voters replicate.
    #[serde(default)]
    pub at_risk: bool,
    /// How often, since its agent started, the site's database was rewound or copied anew.
    #[serde(default)]
    pub rebuilt: u64,
    /// What a person should look at, by name (`archive-failing`), with what is wrong.
    #[serde(default)]
    pub alerts: BTreeMap<String, String>,
}

impl SiteReport {
    /// Whether PostgreSQL's disk is of little use: slow, or full.
    #[must_use]
    pub fn has_bad_disk(&self) -> bool {
        self.flush.is_some_and(|flush| flush.slow) || self.is_full()
    }

    /// Whether PostgreSQL has no room to write in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room.is_some_and(|room| room.full)
    }
}

/// Of PostgreSQL's log to its disk, as PostgreSQL itself counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flush {
    /// One of the last few, on average.
    pub latency_us: u64,
    /// What it used to be; missing until that is known.
    pub usual_us: Option<u64>,
    /// Far longer than it used to be.
    pub slow: bool,
}

/// Of the file system that PostgreSQL's data is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub left_bytes: u64,
    /// Less than PostgreSQL needs for going on: writes fail, or will.
    pub full: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouterReport {
    pub sequence: u64,
    pub version: u64,
    /// Whether the router lives on what it last knew, with etcd out of reach.
    pub stale: bool,
    /// Requests waiting for a cell to have an active site again.
    pub held: u64,
    /// What each cell's users got, second by second since the last report; cells without traffic are
    /// left out.
    #[serde(default)]
    pub traffic: BTreeMap<String, Vec<TrafficSecond>>,
}

/// What one router's users of one cell got in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficSecond {
    /// Requests answered, whatever the answer.
    pub requests: u64,
    /// Of those, answered with a 5xx.
    pub failed: u64,
    /// Tries that found nobody at the site's address.
    pub unreachable: u64,
    /// Half of the requests took no longer than this.
    pub median_ms: u64,
}
