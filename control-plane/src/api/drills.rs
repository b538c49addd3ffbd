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
use topology::wire::suite::SuitePlan;

use super::call::Call;
use super::list::{Asked, Page, PageQuery};
use super::{Api, error, etag, problem};
use crate::decide::drills::Drills;

/// A page of runs, and what is due.
#[derive(Serialize, JsonSchema)]
struct Rehearsed {
    #[serde(flatten)]
    page: Page<Run>,
    /// Missing where no control plane has ever had drills run.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Scheduled>,
}

/// Drills by schedule.
#[derive(Serialize, JsonSchema)]
struct Scheduled {
    /// The region whose control plane has them run; `null` while none does.
    executor: Option<String>,
    /// `null` before the first one was told.
    plan: Option<SuitePlan>,
}

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
             at its end, and the newest 200 are kept. Where control planes have drills run \
             (`--drills`), `schedule` says which one does, what goes on, what is due next, and what \
             became of the last ones.",
        )
        .query::<PageQuery>()
        .answers::<Rehearsed>("A page of the runs, and what is due")
        .example(json!({ "data": [example()], "next": null, "schedule": example_schedule() }))
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
    let schedule = api
        .schedule
        .borrow()
        .as_ref()
        .map(|known| Scheduled { executor: known.executor.clone(), plan: known.plan.clone() });
    let rehearsed = Rehearsed { page: Page { data, next }, schedule };
    Ok(etag::hashed_at(&headers, drills.read_at, rehearsed))
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

fn example_schedule() -> Value {
    json!({
        "executor": "east",
        "plan": {
            "suite": "weekly", "title": "Every kind of loss is rehearsed every week",
            "written_unix_ms": 1_795_385_190_000_u64, "running": null, "held": null,
            "next": [{ "drill": "evacuate", "due_unix_ms": 1_795_386_600_000_u64,
                "target": "north" }],
            "last": [{ "drill": "region-loss", "due_unix_ms": 1_795_385_100_000_u64,
                "target": "east", "outcome": "SUCCEEDED" }],
        },
    })
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
