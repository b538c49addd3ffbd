//! What a person should look at, of all sites and cells.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::call::Call;
use super::cells::known;
use super::list::List;
use super::{Api, etag, problem, view};
use crate::decide::happenings::way_out;

/// The alert of a cell that is left as it is though its active site is lost.
const FROZEN: &str = "frozen";

/// What a person should look at.
#[derive(Serialize, JsonSchema)]
struct Alert {
    name: String,
    cell: String,
    /// Missing where the whole cell is meant.
    region: Option<String>,
    detail: String,
    /// When this control plane first saw it.
    since_unix_ms: u64,
    /// What a person can do about it here, if there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

pub(super) fn call() -> Call {
    Call::get("/v1/alerts")
        .of("records", "Lists what a person should look at.")
        .answers::<List<Alert>>("Of all cells and sites")
        .example(json!({ "data": [{
            "name": "archive-failing", "cell": "c1", "region": "east",
            "detail": "no WAL was archived for 300 s", "since_unix_ms": 1_795_000_000_000_u64,
        }] }))
        .etag("Changes with the content")
        .problems(&[&problem::NOTHING_KNOWN])
}

pub(super) async fn list(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let (state, now) = (known(&api)?, Instant::now());
    let frozen = state.frozen().iter().map(|(cell, frozen)| Alert {
        name: FROZEN.to_owned(),
        cell: cell.to_string(),
        region: None,
        detail: frozen.why.clone(),
        since_unix_ms: view::unix_millis(frozen.since, now),
        way_out: Some(way_out(cell)),
    });
    let of_sites = state.sites().iter().flat_map(|(id, site)| {
        site.alerts().iter().map(|(name, alert)| Alert {
            name: name.clone(),
            cell: id.cell.to_string(),
            region: Some(id.region.to_string()),
            detail: alert.detail.clone(),
            since_unix_ms: view::unix_millis(alert.since, now),
            way_out: None,
        })
    });
    Ok(etag::hashed(&headers, &state, List { data: frozen.chain(of_sites).collect() }))
}
