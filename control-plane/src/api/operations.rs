//! Operations: draining or emptying a region and letting its cells back in, how far that is, and
//! cancelling it.

pub(super) mod example;
mod view;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use topology::RegionId;

use self::view::{OperationView, view};
use super::audit::{Act, Reply, Subject, audited};
use super::auth::Caller;
use super::call::Call;
use super::cells::known;
use super::problem::{self, Kind};
use super::write::{DoneOrAhead, Flags, Write};
use super::{Api, error, etag};
use crate::callers::Role;
use crate::decide::operation::{Goal, Operation};
use crate::levers::history::{self, Expected, History};
use crate::levers::operation::Known;
use crate::levers::preview::{Ahead, preview};
use crate::levers::request::Request;
use crate::levers::{self, region};

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RegionRequest {
    /// For whoever reads the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How long to watch after each wave.
    wave_pause_s: u64,
    /// Names of safety rules that shall not stand in the way.
    #[serde(rename = "override", skip_serializing_if = "Vec::is_empty")]
    override_rules: Vec<String>,
}

/// What is asked of a region whose cells stay where they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MarkRequest {
    /// For whoever reads the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Names of safety rules that shall not stand in the way.
    #[serde(rename = "override", skip_serializing_if = "Vec::is_empty")]
    override_rules: Vec<String>,
}

impl From<MarkRequest> for RegionRequest {
    fn from(MarkRequest { reason, override_rules }: MarkRequest) -> Self {
        Self { reason, wave_pause_s: 0, override_rules }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CancelRequest {
    /// For whoever reads the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// All operations there are.
#[derive(Debug, Serialize, JsonSchema)]
struct Listed {
    data: Vec<OperationView>,
    /// Whether those that have ended are among it. While etcd does not answer, which alone has them,
    /// they are not, and `Age` says how old the rest is.
    with_ended: bool,
}

/// One of them.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    #[serde(flatten)]
    operation: OperationView,
    /// It is as it was when etcd was last read, `Age` ago, and may have ended since: etcd does not
    /// answer. Missing otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<bool>,
}

/// Why an operation does not begin.
const REFUSED: &[&Kind] = &[
    &problem::UNKNOWN_REGION,
    &problem::FROZEN,
    &problem::OUTSIDE_WINDOW,
    &problem::REGION_DRAINED,
    &problem::SECOND_REGION,
    &problem::NO_READY_SITE,
    &problem::NO_HEADROOM,
    &problem::OPERATION_RUNNING,
    &problem::NOT_UNDERSTOOD,
    &problem::OVERTAKEN,
    &problem::OUTCOME_PENDING,
    &problem::STALE,
    &problem::KEY_REUSED,
    &problem::NOTHING_KNOWN,
];

/// A call that begins an operation, or says what that would do.
pub(super) fn begins(call: Call, shown: Goal, refused: &'static [&'static Kind]) -> Call {
    call.query::<Flags>()
        .write()
        .answers("What would be done", &example::ahead(&shown))
        .answers("The operation goes on", &example::just_begun(shown))
        .accepted()
        .problems(refused)
}

pub(super) fn evacuate_call() -> Call {
    let call = Call::post("/v1/regions/{id}/evacuate")
        .of("regions", "Moves every cell out of a region, in waves, and keeps it drained.")
        .about(
            "A drained region is no target until it is restored. The next wave begins when the cells \
             moved so far are redundant again, or ten seconds after the last was moved. With \
             `dry_run=true` only says what would be done.",
        )
        .id("The region")
        .takes::<RegionRequest>(json!({ "reason": "work on the power supply" }));
    begins(call, example::evacuate(), REFUSED)
}

pub(super) fn restore_call() -> Call {
    let call = Call::post("/v1/regions/{id}/restore")
        .of("regions", "Makes a region a target again, and moves its cells home, in waves.")
        .about("With `dry_run=true` only says what would be done.")
        .id("The region")
        .takes::<RegionRequest>(json!({}));
    begins(call, Goal::Restore(example::region("east")), REFUSED)
}

pub(super) fn drain_call() -> Call {
    let call = Call::post("/v1/regions/{id}/drain")
        .of("regions", "Makes a region no target of any move. Nothing is moved out of it.")
        .about(
            "In an election it loses against every other site that has as much, and wins if it \
             alone has everything that was acknowledged. With `dry_run=true` only says what would be \
             done.",
        )
        .id("The region")
        .takes::<MarkRequest>(json!({ "reason": "a switch there is flaky" }));
    begins(call, Goal::Drain(example::region("east")), REFUSED)
}

pub(super) fn undrain_call() -> Call {
    let call = Call::post("/v1/regions/{id}/undrain")
        .of("regions", "Makes a region a target again. Nothing is moved into it.")
        .about("With `dry_run=true` only says what would be done.")
        .id("The region")
        .takes::<MarkRequest>(json!({}));
    begins(call, Goal::Undrain(example::region("east")), REFUSED)
}

pub(super) fn list_call() -> Call {
    Call::get("/v1/operations")
        .of(
            "operations",
            "Lists the operations that go on, and the last that ended, the newest first.",
        )
        .about(
            "While etcd does not answer, those that went on when it was last read: see `with_ended`.",
        )
        .answers(
            "The operations",
            &Listed { data: vec![example::going_on()], with_ended: true },
        )
        .aged()
        .problems(&[&problem::ETCD_UNREACHABLE])
}

pub(super) fn one_call() -> Call {
    Call::get("/v1/operations/{id}")
        .of(
            "operations",
            "Says how far an operation has come, and how long it is expected to take.",
        )
        .about(
            "While etcd does not answer, only one that went on when it was last read: see `remembered`.",
        )
        .id("The operation")
        .answers(
            "The operation",
            &Found { operation: example::going_on(), remembered: Some(true) },
        )
        .tag("Changes with each step, and with a cancellation")
        .aged()
        .problems(&[&problem::UNKNOWN_OPERATION, &problem::ETCD_UNREACHABLE])
}

pub(super) fn cancel_call() -> Call {
    Call::post("/v1/operations/{id}/cancel")
        .of(
            "operations",
            "Cancels an operation: what goes on is brought to its end, nothing else begins.",
        )
        .about(
            "A switchover or a failover can be cancelled only until its cell moves. With `dry_run=true` \
             only says what would be left out and what taken back.",
        )
        .id("The operation")
        .query::<Flags>()
        .takes::<CancelRequest>(json!({}))
        .write()
        .answers(
            "The operation is being cancelled",
            &DoneOrAhead::Done(example::being_cancelled()),
        )
        .problems(&[
            &problem::UNKNOWN_OPERATION,
            &problem::OPERATION_ENDED,
            &problem::TOO_LATE,
            &problem::OVERTAKEN,
            &problem::OUTCOME_PENDING,
            &problem::STALE,
            &problem::KEY_REUSED,
        ])
}

pub(super) async fn evacuate(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<RegionRequest>,
) -> Result<Response, Problem> {
    let region = region_id(&id)?;
    ask(api, caller, Goal::Evacuate(region), write, request).await
}

pub(super) async fn restore(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<RegionRequest>,
) -> Result<Response, Problem> {
    let region = region_id(&id)?;
    ask(api, caller, Goal::Restore(region), write, request).await
}

pub(super) async fn drain(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<MarkRequest>,
) -> Result<Response, Problem> {
    let region = region_id(&id)?;
    ask(api, caller, Goal::Drain(region), write, request.into()).await
}

pub(super) async fn undrain(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<MarkRequest>,
) -> Result<Response, Problem> {
    let region = region_id(&id)?;
    ask(api, caller, Goal::Undrain(region), write, request.into()).await
}

pub(super) fn region_id(id: &str) -> Result<RegionId, Problem> {
    id.parse().map_err(|invalid: topology::InvalidId| error::unknown_region(&invalid.0))
}

pub(super) async fn ask(
    api: Api,
    caller: Caller,
    goal: Goal,
    write: Write,
    request: RegionRequest,
) -> Result<Response, Problem> {
    known(&api)?;
    let reason = super::moves::sentence("/reason", request.reason.as_deref())?;
    if !request.override_rules.is_empty() {
        caller.require(Role::Admin)?;
    }
    if request.wave_pause_s > region::PAUSE_MAX_S {
        let why = format!("at most {} seconds", region::PAUSE_MAX_S);
        return Err(invalid("/wave_pause_s", &why));
    }
    if write.dry_run {
        let region::Look { plan, tag: etag, state } = region::look(&api, &goal).await?;
        let history = history::read(&api).await?;
        let also = goal.site().map(|site| &site.cell).into_iter().collect();
        let (waves, broken) = (&plan.waves, &plan.broken);
        let ahead = Ahead { waves, broken, also, loss: None, etag };
        return Ok(Json(preview(ahead, &state, &api.spec, &history)).into_response());
    }
    let act = Act {
        who: caller.clone(),
        what: goal.kind(),
        subject: match (goal.site(), goal.region()) {
            (Some(site), _) => Subject::Site(site.clone()),
            (None, Some(region)) => Subject::Region(region.clone()),
            (None, None) => Subject::Platform,
        },
        reason: reason.clone(),
        idempotency_key: write.idempotency_key.clone(),
    };
    let order = region::Order {
        goal,
        request: Request {
            who: caller.name,
            reason,
            override_rules: request.override_rules.clone(),
            idempotency_key: write.idempotency_key,
        },
        pause_ms: request.wave_pause_s * 1000,
        expected: write.expected,
    };
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            let (id, operation) = region::begin(&api, &order).await?;
            let reply = Reply::new(202, &view(&id, &operation, None));
            Ok(reply.header("location", &format!("/v1/operations/{id}")))
        })
    })
    .await
}

pub(super) async fn list(State(api): State<Api>) -> Result<Response, Problem> {
    let Known { operations, remembered } = levers::operation::known(&api).await?;
    let expected = expected(&operations);
    let data = operations.iter().map(|(id, operation)| view(id, operation, expected.as_ref()));
    let listed = Listed { data: data.collect(), with_ended: remembered.is_none() };
    Ok(([etag::age_of(remembered)], Json(listed)).into_response())
}

pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let Known { operations, remembered } = levers::operation::known(&api).await?;
    let found = operations.iter().find(|(known, _)| *known == id);
    // Without etcd it may be one that has ended.
    let (_, operation) = found.ok_or_else(|| match remembered {
        None => error::unknown_operation(&id),
        Some(_) => error::etcd_unseen(&id),
    })?;
    let head = [(header::ETAG, levers::operation::tag(operation)), etag::age_of(remembered)];
    let expected = expected(&operations);
    let operation = view(&id, operation, expected.as_ref());
    let found = Found { operation, remembered: remembered.map(|_| true) };
    Ok((head, Json(found)).into_response())
}

fn expected(operations: &[(String, Operation)]) -> Option<Expected> {
    History::of(operations.iter().map(|(_, operation)| operation)).expected()
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<CancelRequest>,
) -> Result<Response, Problem> {
    let reason = super::moves::sentence("/reason", request.reason.as_deref())?;
    if write.dry_run {
        return Ok(Json(levers::operation::ahead(&api, &id).await?).into_response());
    }
    let act = Act {
        who: caller.clone(),
        what: "cancel",
        subject: Subject::Operation(id.clone()),
        reason,
        idempotency_key: write.idempotency_key.clone(),
    };
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            let expected = write.expected.as_deref();
            let operation = levers::operation::cancel(&api, &id, &caller.name, expected).await?;
            Ok(Reply::new(200, &view(&id, &operation, None)))
        })
    })
    .await
}
