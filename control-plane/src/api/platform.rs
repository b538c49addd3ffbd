//! The platform as a whole: regions, sites, routers, and the routing snapshot.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use topology::Version;
use topology::address::Port;
use topology::wire::cell::CellRecord;
use topology::wire::report::RouterReport;

use super::cells::known;
use super::{Api, view};

#[derive(Serialize)]
struct Region {
    id: String,
    name: String,
    network: String,
    control_plane: Option<SocketAddr>,
    /// Cells whose active site is here.
    active: Vec<String>,
    /// Cells that have a standby here.
    standby: Vec<String>,
    sites_reachable: usize,
    sites: usize,
}

pub(super) async fn regions(State(api): State<Api>) -> Result<Response, Problem> {
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
        }
    });
    Ok(Json(json!({ "data": regions.collect::<Vec<_>>() })).into_response())
}

#[derive(Serialize)]
struct CellSite {
    cell: String,
    #[serde(flatten)]
    site: view::Site,
}

pub(super) async fn sites(State(api): State<Api>) -> Result<Response, Problem> {
    let (state, now) = (known(&api)?, Instant::now());
    let sites = state.cells().iter().flat_map(|(id, seen)| {
        let sites = view::sites(&state, id, seen, now);
        sites.into_iter().map(|site| CellSite { cell: id.to_string(), site })
    });
    Ok(Json(json!({ "data": sites.collect::<Vec<_>>() })).into_response())
}

#[derive(Serialize)]
struct Router<'a> {
    id: &'a str,
    #[serde(flatten)]
    report: &'a RouterReport,
}

pub(super) async fn routers(State(api): State<Api>) -> Result<Response, Problem> {
    let state = known(&api)?;
    let routers = state.routers().iter().map(|(id, report)| Router { id, report });
    Ok(Json(json!({ "data": routers.collect::<Vec<_>>() })).into_response())
}

/// The snapshot as routers make it, with each cell's share instead of every slot.
#[derive(Serialize)]
struct Snapshot {
    version: u64,
    cells: BTreeMap<String, SnapshotCell>,
}

#[derive(Serialize)]
struct SnapshotCell {
    slots: usize,
    #[serde(flatten)]
    record: CellRecord,
}

pub(super) async fn snapshot(State(api): State<Api>) -> Result<Response, Problem> {
    let state = known(&api)?;
    let shares = state.placement().map(topology::Placement::shares).unwrap_or_default();
    let cells = state.cells().iter().map(|(id, seen)| {
        let slots = shares.get(id).copied().unwrap_or(0);
        (id.to_string(), SnapshotCell { slots, record: CellRecord::from(&seen.routed) })
    });
    let versions = state.cells().values().map(|seen| seen.version);
    let placement = state.placement().map(topology::Placement::version);
    let Version(version) = versions.chain(placement).max().unwrap_or_default();
    let snapshot = Snapshot { version, cells: cells.collect() };
    Ok(([(header::ETAG, format!("\"{version}\""))], Json(snapshot)).into_response())
}
