//! Cells: how they are, and moving one by plan.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use topology::{CellId, Epoch, Phase, RegionId};

use super::{Api, error, view};
use crate::decide::State as Known;
use crate::tasks::switch::{Handed, Order};

/// How long a promoted target may take to open its epoch; a cell that takes longer is in trouble,
/// and whoever asked should look.
const OPEN: Duration = Duration::from_secs(5);

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchoverRequest {
    to: String,
}

#[derive(Serialize)]
struct Switchover {
    cell: String,
    from: String,
    to: String,
    epoch: u64,
    took_ms: u64,
}

pub(super) async fn switchover(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<SwitchoverRequest>,
) -> Result<Response, Problem> {
    let begun = Instant::now();
    known(&api)?;
    let cell = cell_id(&id)?;
    let to: RegionId =
        request.to.parse().map_err(|err: topology::InvalidId| invalid("/to", &err.to_string()))?;
    let (reply, answer) = oneshot::channel();
    let order = Order { cell: cell.clone(), to: to.clone(), reply };
    api.orders.send(order).await.map_err(|closed| error::stopping(&closed))?;
    let handed = answer.await.map_err(|closed| error::stopping(&closed))?;
    let Handed { from, epoch } = handed.map_err(|undone| error::undone(&undone))?;
    opened(&api, &cell, &to, epoch).await?;
    let took_ms = view::millis(begun.elapsed());
    let (cell, from, to) = (cell.to_string(), from.to_string(), to.to_string());
    Ok(Json(Switchover { cell, from, to, epoch: epoch.0, took_ms }).into_response())
}

/// Waits until the target has opened its epoch.
async fn opened(api: &Api, cell: &CellId, to: &RegionId, epoch: Epoch) -> Result<(), Problem> {
    let steady = Phase::Steady { active: to.clone() };
    let mut state = api.state.clone();
    let ended = state.wait_for(|state| {
        state.cells().get(cell).is_some_and(|seen| {
            let activation = &seen.routed.activation;
            activation.epoch > epoch || (activation.epoch == epoch && activation.phase == steady)
        })
    });
    if let Ok(Err(closed)) = timeout(OPEN, ended).await {
        return Err(error::stopping(&closed));
    }
    let state = Arc::clone(&api.state.borrow());
    let now = state.cells().get(cell).map(|seen| &seen.routed.activation);
    match now {
        Some(now) if now.epoch == epoch && now.phase == steady => Ok(()),
        Some(now) => Err(error::not_opened(epoch.0, &now.to_string())),
        None => Err(error::not_opened(epoch.0, "gone")),
    }
}

/// Returns what is known, once anything is.
pub(super) fn known(api: &Api) -> Result<Arc<Known>, Problem> {
    let state = Arc::clone(&api.state.borrow());
    if state.read_at().is_none() { Err(error::nothing_known()) } else { Ok(state) }
}

fn cell_id(id: &str) -> Result<CellId, Problem> {
    id.parse().map_err(|invalid: topology::InvalidId| error::unknown_cell(&invalid.0))
}
