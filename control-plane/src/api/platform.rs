//! The platform as a whole: regions, sites, routers, and the routing snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;
use topology::address::Port;
use topology::wire::cell::{CellRecord, PhaseRecord};
use topology::wire::report::{RouterReport, TrafficSecond};

use super::call::Call;
use super::cells::known;
use super::list::List;
use super::{Api, etag, problem, view};
use crate::decide::State as Known;

#[derive(Serialize, JsonSchema)]
struct Region {
    id: String,
    name: String,
    network: String,
    #[schemars(with = "Option<String>")]
    control_plane: Option<SocketAddr>,
    /// Cells whose active site is here.
    active: Vec<String>,
    /// Cells that have a standby here.
    standby: Vec<String>,
    sites_reachable: usize,
    sites: usize,
    /// No target of a failover or a planned move, until it is restored.
    drained: bool,
}

pub(super) fn regions_call() -> Call {
    Call::get("/v1/regions")
        .of("platform", "Lists the regions.")
        .answers("Every region, and which cells are there", &List { data: vec![example()] })
        .etag("Changes with the content")
        .problems(&[&problem::NOTHING_KNOWN])
}

fn example() -> Region {
    Region {
        id: "east".to_owned(),
        name: "East".to_owned(),
        network: "127.1.0.0/16".to_owned(),
        control_plane: Some(SocketAddr::from(([127, 1, 0, 1], 7000))),
        active: vec!["c2".to_owned()],
        standby: vec!["c1".to_owned(), "c3".to_owned()],
        sites_reachable: 3,
        sites: 3,
        drained: false,
    }
}

pub(super) async fn regions(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let state = known(&api)?;
    let regions = api.spec.regions.iter().map(|region| {
        let here: Vec<_> = state
            .cells()
            .iter()
            .filter(|(_, seen)| seen.routed.gateways.contains_key(&region.id))
            .collect();
        let reachable =
            here.iter().filter(|(cell, _)| state.site(cell, &region.id).is_reachable()).count();
        let (active, standby): (Vec<_>, Vec<_>) =
            here.iter().partition(|(_, seen)| seen.routed.activation.holder() == Some(&region.id));
        let names = |cells: Vec<_>| cells.iter().map(ToString::to_string).collect();
        Region {
            id: region.id.to_string(),
            name: region.name.clone(),
            network: region.network.to_string(),
            control_plane: api.spec.region_address(&region.id, Port::ControlPlane),
            active: names(active.into_iter().map(|(cell, _)| cell).collect()),
            standby: names(standby.into_iter().map(|(cell, _)| cell).collect()),
            sites_reachable: reachable,
            sites: here.len(),
            drained: state.intent().drained().contains(&region.id),
        }
    });
    Ok(etag::hashed(&headers, &state, List { data: regions.collect() }))
}

#[derive(Serialize, JsonSchema)]
struct CellSite {
    cell: String,
    #[serde(flatten)]
    site: view::Site,
}

pub(super) fn sites_call() -> Call {
    Call::get("/v1/sites")
        .of("platform", "Lists every site of every cell.")
        .answers(
            "As this control plane sees them",
            &List { data: vec![CellSite { cell: "c1".to_owned(), site: view::example::site() }] },
        )
        .etag("Changes with the content")
        .problems(&[&problem::NOTHING_KNOWN])
}

pub(super) async fn sites(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let (state, now) = (known(&api)?, Instant::now());
    let sites = state.cells().iter().flat_map(|(id, seen)| {
        let sites = view::sites(&state, id, seen, now);
        sites.into_iter().map(|site| CellSite { cell: id.to_string(), site })
    });
    Ok(etag::hashed(&headers, &state, List { data: sites.collect() }))
}

#[derive(Serialize, JsonSchema)]
struct Router {
    id: String,
    #[serde(flatten)]
    report: RouterReport,
}

pub(super) fn routers_call() -> Call {
    Call::get("/v1/routers")
        .of("platform", "Lists the routers.")
        .answers("What each router says of itself", &List { data: vec![example_router()] })
        .etag("Changes with the content")
        .problems(&[&problem::NOTHING_KNOWN])
}

fn example_router() -> Router {
    let second = TrafficSecond { requests: 118, failed: 0, unreachable: 0, median_ms: 4 };
    let report = RouterReport {
        sequence: 42,
        version: 310,
        stale: false,
        held: 0,
        traffic: BTreeMap::from([("c1".to_owned(), vec![second])]),
    };
    Router { id: "edge-1".to_owned(), report }
}

pub(super) async fn routers(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let state = known(&api)?;
    let routers = state.routers().iter();
    let data = routers.map(|(id, report)| Router { id: id.clone(), report: report.clone() });
    Ok(etag::hashed(&headers, &state, List { data: data.collect() }))
}

/// The snapshot as routers make it, with each cell's share instead of every slot.
#[derive(Serialize, JsonSchema)]
struct Snapshot {
    version: u64,
    cells: BTreeMap<String, SnapshotCell>,
}

#[derive(Serialize, JsonSchema)]
struct SnapshotCell {
    slots: usize,
    #[serde(flatten)]
    record: CellRecord,
}

pub(super) fn snapshot_call() -> Call {
    Call::get("/v1/snapshot")
        .of("platform", "Shows the routing snapshot.")
        .answers("As routers make it, with each cell's share of the slots", &example_snapshot())
        .etag("The snapshot's version")
        .problems(&[&problem::NOTHING_KNOWN])
}

fn example_snapshot() -> Snapshot {
    let gateway = |network: u8| SocketAddr::from(([127, network, 1, 1], 8000));
    let record = CellRecord {
        epoch: 9,
        phase: PhaseRecord::Steady { active: "south".to_owned() },
        voters: ["east", "north"].map(str::to_owned).into(),
        retired: BTreeSet::new(),
        acks: 1,
        system: Some(7_575_013_265_021_550_123),
        elected_at: None,
        cause: Some(view::example::cause()),
        reason: view::example::REASON.to_owned(),
        gateways: [("east", 1), ("north", 2), ("south", 3)]
            .map(|(region, network)| (region.to_owned(), gateway(network)))
            .into(),
    };
    let cells = BTreeMap::from([("c1".to_owned(), SnapshotCell { slots: 5462, record })]);
    Snapshot { version: 310, cells }
}

pub(super) async fn snapshot(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let state = known(&api)?;
    let shares = state.placement().map(topology::Placement::shares).unwrap_or_default();
    let cells = state.cells().iter().map(|(id, seen)| {
        let slots = shares.get(id).copied().unwrap_or(0);
        (id.to_string(), SnapshotCell { slots, record: CellRecord::from(&seen.routed) })
    });
    let version = version(&state);
    Ok(etag::versioned(&headers, &state, version, Snapshot { version, cells: cells.collect() }))
}

/// Returns the version of the routing snapshot.
pub(super) fn version(state: &Known) -> u64 {
    let versions = state.cells().values().map(|seen| seen.version);
    let placement = state.placement().map(topology::Placement::version);
    versions.chain(placement).max().unwrap_or_default().0
}
