//! What was rehearsed, and what it came to.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use topology::wire::drill::DrillRecord;

use super::call::Call;
use super::list::{Asked, Page, PageQuery};
use super::{Api, error, etag, problem};
use crate::decide::drills::Drills;

/// A run of a drill.
#[derive(Serialize, JsonSchema)]
struct Run {
    id: String,
    #[serde(flatten)]
    record: DrillRecord,
}

pub(super) fn list_call() -> Call {
    Call::get("/v1/drills")
        .of("records", "Lists runs of drills, the newest first.")
        .about(
            "What each came to, in short; its report is where it was run. `chaos run` writes them \
             at its end, and the newest 200 are kept.",
        )
        .query::<PageQuery>()
        .answers::<Page<Run>>("A page of the runs")
        .example(json!({ "data": [example()], "next": null }))
        .etag("Changes with the content")
        .problems(&[&problem::INVALID, &problem::NOTHING_KNOWN])
}

pub(super) async fn list(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Asked { limit, cursor } = PageQuery::asked(query)?;
    let drills = known(&api)?;
    let earlier = drills.runs.iter().filter(|(id, _)| cursor.as_ref().is_none_or(|at| id < at));
    let limit = usize::from(limit);
    let runs: Vec<&(String, DrillRecord)> = earlier.take(limit + 1).collect();
    let next = runs.get(limit).map(|_| runs[limit - 1].0.clone());
    let data = runs.into_iter().take(limit).map(|(id, record)| run(id, record)).collect();
    Ok(etag::hashed_at(&headers, drills.read_at, Page { data, next }))
}

pub(super) fn one_call() -> Call {
    Call::get("/v1/drills/{id}")
        .of("records", "Shows a run of a drill.")
        .id("The run's id, as in the list")
        .answers::<Run>("What it came to")
        .example(example())
        .etag("Changes with the content")
        .problems(&[&problem::UNKNOWN_DRILL, &problem::NOTHING_KNOWN])
}

pub(super) async fn one(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let drills = known(&api)?;
    let found = drills.runs.iter().find(|(known, _)| *known == id);
    let (id, record) = found.ok_or_else(|| error::unknown_drill(&id))?;
    Ok(etag::hashed_at(&headers, drills.read_at, run(id, record)))
}

fn known(api: &Api) -> Result<Arc<Drills>, Problem> {
    let drills = Arc::clone(&api.drills.borrow());
    drills.read_at.is_some().then_some(drills).ok_or_else(error::nothing_known)
}

fn run(id: &str, record: &DrillRecord) -> Run {
    Run { id: id.to_owned(), record: record.clone() }
}

fn example() -> Value {
    json!({
        "id": "1795385107000-region-loss", "run": "region-loss-1795385107000",
        "drill": "region-loss", "title": "A region is lost", "environment": "local-1f3a",
        "seed": 1, "begun_unix_ms": 1_795_385_107_000_u64, "ended_unix_ms": 1_795_385_181_000_u64,
        "verdict": "pass", "exit_code": 0, "reasons": [], "recover_99_ms": 2610,
        "detect_ms": 1120, "redundancy_restored_ms": 9300, "strong_lost": 0, "weak_lost": 0,
        "failed": 0, "held": 41,
    })
}
