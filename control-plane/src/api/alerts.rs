//! What a person should look at, of all sites and cells.

use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::cells::known;
use super::{Api, view};
use crate::decide::happenings::way_out;

/// The alert of a cell that is left as it is though its active site is lost.
const FROZEN: &str = "frozen";

#[derive(Serialize)]
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

pub(super) async fn list(State(api): State<Api>) -> Result<Response, Problem> {
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
    let data: Vec<Alert> = frozen.chain(of_sites).collect();
    Ok(Json(json!({ "data": data })).into_response())
}
