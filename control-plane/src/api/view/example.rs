//! A cell and its sites as the document shows them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use topology::wire::agent::TenureName;
use topology::wire::cause::CauseRecord;

use super::{Alert, Cell, Lease, Site};

pub(in crate::api) const AT_UNIX_MS: u64 = 1_795_385_107_000;

pub(in crate::api) fn cell() -> Cell {
    Cell {
        id: "c1".to_owned(),
        epoch: 9,
        phase: "steady",
        active: Some("south".to_owned()),
        target: None,
        voters: vec!["east".to_owned(), "north".to_owned()],
        acks: 1,
        cause: Some(cause()),
        reason: REASON.to_owned(),
        slots: 5462,
        redundant: true,
        at_risk: false,
        frozen: None,
        lease: Some(Lease { holder: "south".to_owned(), epoch: 9, age_ms: 210 }),
        sites: vec![site(), standby()],
    }
}

pub(in crate::api) const REASON: &str = "planned move from east to south, driven from north";

pub(in crate::api) fn cause() -> CauseRecord {
    CauseRecord { kind: "switchover".to_owned(), operation: Some("op-000012".to_owned()) }
}

/// The active one.
pub(in crate::api) fn site() -> Site {
    Site {
        region: "south".to_owned(),
        role: "active",
        tenure: Some(TenureName::Serving),
        postgres: Some("primary".to_owned()),
        lsn: Some(50_331_648),
        lag_bytes: Some(0),
        room_bytes: Some(12_884_901_888),
        services: BTreeMap::from([("session".to_owned(), true)]),
        reachable: true,
        votes: false,
        rebuilt: Some(0),
        alerts: BTreeMap::new(),
        gateway: SocketAddr::from(([127, 3, 1, 1], 8000)),
    }
}

fn standby() -> Site {
    let alert = Alert {
        detail: "no WAL was archived for 300 s".to_owned(),
        since_unix_ms: AT_UNIX_MS - 300_000,
    };
    Site {
        region: "east".to_owned(),
        role: "standby",
        tenure: Some(TenureName::Standby),
        postgres: Some("standby".to_owned()),
        lag_bytes: Some(2048),
        votes: true,
        rebuilt: Some(1),
        alerts: BTreeMap::from([("archive-failing".to_owned(), alert)]),
        gateway: SocketAddr::from(([127, 1, 1, 1], 8000)),
        ..site()
    }
}
