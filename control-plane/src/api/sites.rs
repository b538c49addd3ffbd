//! A cell's standby sites: keeping one out, and letting it in again.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use runtime::Problem;
use runtime::json_body::JsonBody;
use serde_json::json;
use topology::SiteId;

use super::Api;
use super::auth::Caller;
use super::call::Call;
use super::cells::cell_id;
use super::operations::{MarkRequest, ask, begins, example, region_id};
use super::problem::{self, Kind};
use super::write::Write;
use crate::decide::operation::Goal;

/// Why no such operation begins.
const REFUSED: &[&Kind] = &[
    &problem::UNKNOWN_CELL,
    &problem::UNKNOWN_REGION,
    &problem::NOT_A_SITE,
    &problem::FROZEN,
    &problem::NO_READY_SITE,
    &problem::OUTSIDE_WINDOW,
    &problem::OPERATION_RUNNING,
    &problem::NOT_UNDERSTOOD,
    &problem::OVERTAKEN,
    &problem::OUTCOME_PENDING,
    &problem::STALE,
    &problem::KEY_REUSED,
    &problem::NOTHING_KNOWN,
];

pub(super) fn retire_call() -> Call {
    let call = of_site("/v1/cells/{id}/sites/{region}/retire")
        .of("cells", "Keeps a standby site out of its cell: no voter, no target, following nobody.")
        .about(
            "Its database stays as it is then. It is refused where the cell would be left without a \
             ready site. With `dry_run=true` only says what would be done.",
        )
        .takes::<MarkRequest>(json!({ "reason": "the machine is replaced" }));
    begins(call, Goal::RetireSite(example::site()), REFUSED)
}

pub(super) fn add_call() -> Call {
    let call = of_site("/v1/cells/{id}/sites/{region}/add")
        .of("cells", "Lets a site in again that was kept out; done once it votes.")
        .about(
            "It catches up first, from the write-ahead log or from a copy. With `dry_run=true` only \
             says what would be done.",
        )
        .takes::<MarkRequest>(json!({}));
    begins(call, Goal::AddSite(example::site()), REFUSED)
}

fn of_site(path: &'static str) -> Call {
    Call::post(path).id("The cell").parameter(json!({
        "name": "region", "in": "path", "required": true,
        "description": "The region of the site", "schema": { "type": "string" }
    }))
}

pub(super) async fn retire(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((cell, region)): Path<(String, String)>,
    write: Write,
    JsonBody(request): JsonBody<MarkRequest>,
) -> Result<Response, Problem> {
    let goal = Goal::RetireSite(site(&cell, &region)?);
    ask(api, caller, goal, write, request.into()).await
}

pub(super) async fn add(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((cell, region)): Path<(String, String)>,
    write: Write,
    JsonBody(request): JsonBody<MarkRequest>,
) -> Result<Response, Problem> {
    let goal = Goal::AddSite(site(&cell, &region)?);
    ask(api, caller, goal, write, request.into()).await
}

fn site(cell: &str, region: &str) -> Result<SiteId, Problem> {
    Ok(SiteId { cell: cell_id(cell)?, region: region_id(region)? })
}
