//! Cells: how they are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use serde_json::json;
use tokio::time::Instant;
use topology::CellId;

use super::{Api, error, view};
use crate::decide::State as Known;

pub(super) async fn list(State(api): State<Api>) -> Result<Response, Problem> {
    let state = known(&api)?;
    let now = Instant::now();
    let cells: Vec<view::Cell> =
        state.cells().iter().map(|(id, seen)| view::cell(&state, id, seen, now)).collect();
    Ok(Json(json!({ "data": cells })).into_response())
}

pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let state = known(&api)?;
    let cell = cell_id(&id)?;
    let seen = state.cells().get(&cell).ok_or_else(|| error::unknown_cell(&id))?;
    let view = view::cell(&state, &cell, seen, Instant::now());
    Ok(([(header::ETAG, format!("\"{}\"", view.epoch))], Json(view)).into_response())
}

/// Returns what is known, once anything is.
pub(super) fn known(api: &Api) -> Result<Arc<Known>, Problem> {
    let state = Arc::clone(&api.state.borrow());
    if state.read_at().is_none() { Err(error::nothing_known()) } else { Ok(state) }
}

pub(super) fn cell_id(id: &str) -> Result<CellId, Problem> {
    id.parse().map_err(|invalid: topology::InvalidId| error::unknown_cell(&invalid.0))
}
