//! What was rehearsed, and what it came to.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use topology::wire::drill::{DrillRecord, DrillVerdict, Took};
use topology::wire::lever::LeverRecord;
use topology::wire::suite::{Became, ExpectedPass, Outcome, SuitePlan, Timed};

use super::call::Call;
use super::list::{Asked, Page, PageQuery};
use super::view::example::AT_UNIX_MS;
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
    /// Missing while the lever is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    lever: Option<Pulled>,
}

/// Drills that run are stopped, and none begins.
#[derive(Serialize, JsonSchema)]
struct Pulled {
    /// Why, in the words of who pulled it; or that what is stored is not understood, which stops drills too.
    reason: String,
    /// Who pulled it, as far as their machine knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<String>,
    /// Missing where what is stored is not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_unix_ms: Option<u64>,
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
             (`--drills`), `schedule` says which one does, what goes on, what is due next, what \
             became of the last ones, and which drills are to pass within which time (`expected`). \
             `lever` says why none runs, while `chaos lever pull` stops them.",
        )
        .query::<PageQuery>()
        .answers("A page of the runs, and what is due", &example_page())
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
    let known = api.schedule.borrow().clone();
    let known = known.as_deref();
    let schedule = known
        .filter(|known| known.is_kept())
        .map(|known| Scheduled { executor: known.executor.clone(), plan: known.plan.clone() });
    let lever = known.and_then(|known| known.lever.as_ref()).map(pulled);
    let rehearsed = Rehearsed { page: Page { data, next }, schedule, lever };
    Ok(etag::hashed_at(&headers, drills.read_at, rehearsed))
}

pub(super) fn one_call() -> Call {
    Call::get("/v1/drills/{id}")
        .of("records", "Shows a run of a drill.")
        .id("The run's id, as in the list")
        .answers("What it came to", &example())
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

fn pulled(record: &LeverRecord) -> Pulled {
    let LeverRecord { reason, who, since_unix_ms, .. } = record.clone();
    Pulled { reason, who, since_unix_ms }
}

fn run(id: &str, record: &DrillRecord) -> Run {
    Run { id: id.to_owned(), record: record.clone() }
}

fn example_page() -> Rehearsed {
    let timed = |drill: &str, due_unix_ms, target: &str| Timed {
        drill: drill.to_owned(),
        due_unix_ms,
        target: Some(target.to_owned()),
    };
    let last = timed("region-loss", AT_UNIX_MS - 7_000, "east");
    let next = timed("evacuate", AT_UNIX_MS + 1_493_000, "north");
    let plan = SuitePlan {
        suite: "weekly".to_owned(),
        title: "Every kind of loss is rehearsed every week".to_owned(),
        written_unix_ms: AT_UNIX_MS + 83_000,
        running: None,
        held: None,
        first_due_unix_ms: Some(next.due_unix_ms),
        expected: vec![ExpectedPass {
            drill: next.drill.clone(),
            within_ms: 8 * 24 * 3_600_000,
            first_due_unix_ms: next.due_unix_ms,
        }],
        next: vec![next],
        last: vec![Became { due: last, outcome: Outcome::Succeeded, why: None }],
    };
    let schedule = Scheduled { executor: Some("east".to_owned()), plan: Some(plan) };
    let reason = "c2 is slow for its users".to_owned();
    let who = Some("ada@edge-1".to_owned());
    let lever = Some(Pulled { reason, who, since_unix_ms: Some(AT_UNIX_MS + 80_000) });
    let page = Page { data: vec![example()], next: None };
    Rehearsed { page, schedule: Some(schedule), lever }
}

fn example() -> Run {
    let record = DrillRecord {
        run: format!("region-loss-{AT_UNIX_MS}"),
        drill: "region-loss".to_owned(),
        title: "A region is lost".to_owned(),
        environment: "local-1f3a".to_owned(),
        seed: 1,
        begun_unix_ms: AT_UNIX_MS,
        ended_unix_ms: AT_UNIX_MS + 74_000,
        verdict: DrillVerdict::Pass,
        exit_code: 0,
        reasons: Vec::new(),
        recover_99_ms: Some(Took::Millis(2610)),
        detect_ms: Some(Took::Millis(1120)),
        redundancy_restored_ms: Some(Took::Millis(9300)),
        strong_lost: Some(0),
        weak_lost: Some(0),
        failed: Some(0),
        held: 41,
        suite: Some("weekly".to_owned()),
    };
    Run { id: format!("{AT_UNIX_MS}-region-loss"), record }
}
