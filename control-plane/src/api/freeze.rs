//! The global freeze.

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::audit::{Act, Reply, Subject, audited};
use super::auth::Caller;
use super::call::Call;
use super::cells::known;
use super::view::example::AT_UNIX_MS;
use super::write::{DoneOrAhead, Flags, Write};
use super::{Api, etag, problem};
use crate::callers::Role;
use crate::levers::freeze::{self, FOR_MAX_S, Standing, standing};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FreezeRequest {
    frozen: bool,
    /// For whoever wonders why nothing moves; a dry run needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How long it holds; until it is lifted without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_s: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FreezeView {
    /// Whether it holds: nothing is moved, neither by plan nor by itself.
    frozen: bool,
    reason: Option<String>,
    who: Option<String>,
    since_unix_ms: Option<u64>,
    until_unix_ms: Option<u64>,
}

pub(super) fn get_call() -> Call {
    Call::get("/v1/freeze")
        .of("platform", "Says whether everything is frozen, who said so, and why.")
        .answers("What was said last, and whether it holds", &example())
        .tag("Changes whenever somebody says something; not when what was said is over")
        .aged()
        .problems(&[&problem::NOTHING_KNOWN])
}

pub(super) fn put_call() -> Call {
    Call::put("/v1/freeze")
        .of("platform", "Freezes everything, or lifts the freeze.")
        .about(
            "While it holds nothing is moved, neither by plan nor by itself. Requests go on as they do: it \
             concerns the users of cells whose active site is lost, and operations that have yet to move \
             something. It takes an admin, and a reason. With `dry_run=true` only says what would be \
             done.",
        )
        .query::<Flags>()
        .takes::<FreezeRequest>(json!({ "frozen": true, "reason": "we are looking" }))
        .write()
        .answers("What was said", &DoneOrAhead::Done(example()))
        .tag("Of what was said: for `If-Match`")
        .problems(&[
            &problem::OVERTAKEN,
            &problem::OUTCOME_PENDING,
            &problem::STALE,
            &problem::KEY_REUSED,
        ])
}

fn example() -> FreezeView {
    FreezeView {
        frozen: true,
        reason: Some("we are looking".to_owned()),
        who: Some("ada".to_owned()),
        since_unix_ms: Some(AT_UNIX_MS),
        until_unix_ms: Some(AT_UNIX_MS + 3_600_000),
    }
}

pub(super) async fn get(State(api): State<Api>) -> Result<Response, Problem> {
    let state = known(&api)?;
    let standing = standing(&state, Instant::now());
    let head = [(header::ETAG, standing.tag.clone()), etag::age(&state)];
    Ok((head, Json(view(&standing))).into_response())
}

pub(super) async fn put(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    write: Write,
    JsonBody(request): JsonBody<FreezeRequest>,
) -> Result<Response, Problem> {
    caller.require(Role::Admin)?;
    let reason = super::moves::sentence("/reason", request.reason.as_deref())?;
    if request.for_s.is_some_and(|for_s| for_s == 0 || for_s > FOR_MAX_S) {
        return Err(invalid("/for_s", &format!("1 to {FOR_MAX_S} seconds")));
    }
    if write.dry_run {
        return Ok(Json(freeze::ahead(&api, request.frozen).await?).into_response());
    }
    let reason = reason.ok_or_else(|| invalid("/reason", "it takes a reason"))?;
    let act = Act {
        who: caller.clone(),
        what: if request.frozen { "freeze" } else { "unfreeze" },
        subject: Subject::Platform,
        reason: Some(reason.clone()),
        idempotency_key: write.idempotency_key,
    };
    let order = freeze::Order {
        frozen: request.frozen,
        reason,
        who: caller.name,
        for_ms: request.for_s.map(|for_s| for_s * 1000),
        expected: write.expected,
    };
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            let standing = freeze::set(&api, &order).await?;
            Ok(Reply::new(200, &view(&standing)).header("etag", &standing.tag))
        })
    })
    .await
}

fn view(standing: &Standing) -> FreezeView {
    let said = standing.said.as_ref();
    FreezeView {
        frozen: standing.holds,
        reason: said.map(|said| said.reason.clone()),
        who: said.map(|said| said.who.clone()),
        since_unix_ms: said.map(|said| said.since_unix_ms),
        until_unix_ms: said.and_then(|said| said.until_unix_ms),
    }
}
