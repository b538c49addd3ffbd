//! Cells: how they are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use tokio::time::Instant;
use topology::CellId;

use super::call::Call;
use super::list::List;
use super::{Api, error, etag, platform, problem, view};
use crate::decide::State as Known;

pub(super) fn list_call() -> Call {
    Call::get("/v1/cells")
        .of("cells", "Lists the cells.")
        .answers(
            "Every cell, as this control plane sees it",
            &List { data: vec![view::example::cell()] },
        )
        .etag("The routing snapshot's version: it tells of moves, not of what is seen of sites")
        .problems(&[&problem::NOTHING_KNOWN])
}

pub(super) async fn list(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let state = known(&api)?;
    let now = Instant::now();
    let cells = state.cells().iter().map(|(id, seen)| view::cell(&state, id, seen, now));
    let list = List { data: cells.collect() };
    Ok(etag::versioned(&headers, &state, platform::version(&state), list))
}

pub(super) fn one_call() -> Call {
    Call::get("/v1/cells/{id}")
        .of("cells", "Shows a cell.")
        .id("The cell")
        .answers("The cell, as this control plane sees it", &view::example::cell())
        .etag("The cell's epoch: it tells of moves, not of what is seen of its sites")
        .problems(&[&problem::UNKNOWN_CELL, &problem::NOTHING_KNOWN])
}

pub(super) async fn one(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let state = known(&api)?;
    let cell = cell_id(&id)?;
    let seen = state.cells().get(&cell).ok_or_else(|| error::unknown_cell(&id))?;
    let view = view::cell(&state, &cell, seen, Instant::now());
    Ok(etag::versioned(&headers, &state, view.epoch, view))
}

/// Returns what is known, once anything is.
pub(super) fn known(api: &Api) -> Result<Arc<Known>, Problem> {
    let state = Arc::clone(&api.state.borrow());
    if state.read_at().is_none() { Err(error::nothing_known()) } else { Ok(state) }
}

pub(super) fn cell_id(id: &str) -> Result<CellId, Problem> {
    id.parse().map_err(|invalid: topology::InvalidId| error::unknown_cell(&invalid.0))
}
