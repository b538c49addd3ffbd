//! Operations: draining or emptying a region and letting its cells back in, how far that is, and
//! cancelling it.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use topology::{RegionId, SiteId};

use super::audit::{Act, Reply, Subject, audited};
use super::auth::Caller;
use super::call::Call;
use super::cells::known;
use super::problem::{self, Kind};
use super::write::{Flags, Write};
use super::{Api, error};
use crate::callers::Role;
use crate::decide::operation::advance::AT_ONCE;
use crate::decide::operation::{Goal, Move, Operation, Status, Step, StepState, What};
use crate::levers::history::{self, Expected};
use crate::levers::preview::{Ahead, Preview, preview};
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
    &problem::OVERTAKEN,
    &problem::OUTCOME_PENDING,
    &problem::STALE,
    &problem::KEY_REUSED,
    &problem::NOTHING_KNOWN,
];

pub(super) fn evacuate_call() -> Call {
    Call::post("/v1/regions/{id}/evacuate")
        .of("regions", "Moves every cell out of a region, in waves, and keeps it drained.")
        .about(
            "A drained region is no target until it is restored. With `dry_run=true` only says what \
             would be done.",
        )
        .id("The region")
        .query::<Flags>()
        .takes::<RegionRequest>(json!({ "reason": "work on the power supply" }))
        .write()
        .answers::<Preview>("What would be done")
        .answers::<OperationView>("The operation goes on")
        .accepted()
        .problems(REFUSED)
}

pub(super) fn restore_call() -> Call {
    Call::post("/v1/regions/{id}/restore")
        .of("regions", "Makes a region a target again, and moves its cells home, in waves.")
        .about("With `dry_run=true` only says what would be done.")
        .id("The region")
        .query::<Flags>()
        .takes::<RegionRequest>(json!({}))
        .write()
        .answers::<Preview>("What would be done")
        .answers::<OperationView>("The operation goes on")
        .accepted()
        .problems(REFUSED)
}

pub(super) fn drain_call() -> Call {
    Call::post("/v1/regions/{id}/drain")
        .of("regions", "Makes a region no target of any move. Nothing is moved out of it.")
        .about(
            "In an election it loses against every other site that has as much, and wins if it \
             alone has everything that was acknowledged. With `dry_run=true` only says what would be \
             done.",
        )
        .id("The region")
        .query::<Flags>()
        .takes::<MarkRequest>(json!({ "reason": "a switch there is flaky" }))
        .write()
        .answers::<Preview>("What would be done")
        .answers::<OperationView>("The operation goes on")
        .accepted()
        .problems(REFUSED)
}

pub(super) fn undrain_call() -> Call {
    Call::post("/v1/regions/{id}/undrain")
        .of("regions", "Makes a region a target again. Nothing is moved into it.")
        .about("With `dry_run=true` only says what would be done.")
        .id("The region")
        .query::<Flags>()
        .takes::<MarkRequest>(json!({}))
        .write()
        .answers::<Preview>("What would be done")
        .answers::<OperationView>("The operation goes on")
        .accepted()
        .problems(REFUSED)
}

pub(super) fn list_call() -> Call {
    Call::get("/v1/operations")
        .of(
            "operations",
            "Lists the operations that go on, and the last that ended, the newest first.",
        )
        .answers::<Listed>("The operations")
        .problems(&[&problem::ETCD_UNREACHABLE])
}

pub(super) fn one_call() -> Call {
    Call::get("/v1/operations/{id}")
        .of(
            "operations",
            "Says how far an operation has come, and how long it is expected to take.",
        )
        .id("The operation")
        .answers::<OperationView>("The operation")
        .problems(&[&problem::UNKNOWN_OPERATION, &problem::ETCD_UNREACHABLE])
}

pub(super) fn cancel_call() -> Call {
    Call::post("/v1/operations/{id}/cancel")
        .of(
            "operations",
            "Cancels an operation: what goes on is brought to its end, nothing else begins.",
        )
        .id("The operation")
        .takes::<CancelRequest>(json!({}))
        .write()
        .answers::<OperationView>("The operation is being cancelled")
        .problems(&[
            &problem::UNKNOWN_OPERATION,
            &problem::OPERATION_ENDED,
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
        let also = goal.site().map(|site| &site.cell);
        let ahead = Ahead { waves: &plan.waves, broken: &plan.broken, also, etag };
        return Ok(Json(preview(ahead, &state, &api.spec, &history)).into_response());
    }
    let act = Act {
        who: caller.clone(),
        what: goal.kind(),
        subject: match goal.site() {
            Some(site) => Subject::Site(site.clone()),
            None => Subject::Region(goal.region().clone()),
        },
        reason: reason.clone(),
        idempotency_key: write.idempotency_key.clone(),
    };
    let order = region::Order {
        goal,
        who: caller.name,
        reason,
        pause_ms: request.wave_pause_s * 1000,
        override_rules: request.override_rules.clone(),
        idempotency_key: write.idempotency_key,
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
    let expected = history::read(&api).await?.expected();
    let all = levers::operation::list(&api).await?;
    let all: Vec<OperationView> =
        all.iter().map(|(id, operation)| view(id, operation, expected.as_ref())).collect();
    Ok(Json(Listed { data: all }).into_response())
}

pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let operation = levers::operation::one(&api, &id).await?;
    let expected = history::read(&api).await?.expected();
    let etag = [("etag", format!("\"{}\"", operation.sequence))];
    Ok((etag, Json(view(&id, &operation, expected.as_ref()))).into_response())
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<CancelRequest>,
) -> Result<Response, Problem> {
    let write = write.in_earnest()?;
    let reason = super::moves::sentence("/reason", request.reason.as_deref())?;
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

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OperationView {
    id: String,
    kind: &'static str,
    /// Whose site in the region it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<String>,
    region: String,
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    who: String,
    asked_in: String,
    asked_unix_ms: u64,
    reason: Option<String>,
    overridden: Vec<String>,
    executor: String,
    cancelled_by: Option<String>,
    waits_for: Option<String>,
    /// The wave that goes on or comes next, counted from 0.
    wave: Option<usize>,
    steps_ended: usize,
    steps: usize,
    /// By how long earlier moves took; `null` before the first, and once it has ended.
    eta_ms: Option<u64>,
    ended_unix_ms: Option<u64>,
    waves: Vec<Vec<StepView>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StepView {
    #[serde(rename = "do")]
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Where the cell goes, the region that is marked, or the site's.
    to: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn view(id: &str, operation: &Operation, expected: Option<&Expected>) -> OperationView {
    let why = match &operation.status {
        Status::Failed(why) => Some(why.clone()),
        Status::Running | Status::Undoing | Status::Done | Status::Cancelled => None,
    };
    OperationView {
        id: id.to_owned(),
        kind: operation.goal.kind(),
        cell: operation.goal.site().map(|site| site.cell.to_string()),
        region: operation.goal.region().to_string(),
        status: operation.status.name(),
        why,
        who: operation.asked.who.clone(),
        asked_in: operation.asked.vantage.to_string(),
        asked_unix_ms: operation.asked.at_unix_ms,
        reason: operation.asked.reason.clone(),
        overridden: operation.asked.override_rules.clone(),
        executor: operation.executor.to_string(),
        cancelled_by: operation.cancel.as_ref().map(|cancel| cancel.who.clone()),
        waits_for: operation.waits_for.clone(),
        wave: operation.wave(),
        steps_ended: operation.steps().filter(|step| step.state.has_ended()).count(),
        steps: operation.steps().count(),
        eta_ms: expected.and_then(|expected| eta(operation, expected)),
        ended_unix_ms: operation.ended_unix_ms,
        waves: operation.waves.iter().map(|wave| wave.iter().map(step).collect()).collect(),
    }
}

/// Each wave takes as long as its moves, of which some go on at once, and the pause before it.
fn eta(operation: &Operation, expected: &Expected) -> Option<u64> {
    let next = operation.wave().filter(|_| !operation.status.has_ended())?;
    let waves = operation.waves.iter().enumerate().skip(next);
    let waves = waves.map(|(number, wave)| {
        let left = wave.iter().filter(|step| !step.state.has_ended());
        let moves = left.filter(|step| matches!(step.what, What::Move(_))).count();
        let rounds = u64::try_from(moves.div_ceil(AT_ONCE)).unwrap_or(u64::MAX);
        let pause = if number > next.max(1) { operation.pause_ms } else { 0 };
        rounds.saturating_mul(expected.took_ms).saturating_add(pause)
    });
    Some(waves.fold(0, u64::saturating_add))
}

fn step(step: &Step) -> StepView {
    let (what, cell, from, to) = match &step.what {
        What::Drain(region) => ("drain", None, None, region),
        What::Undrain(region) => ("undrain", None, None, region),
        What::Move(Move { cell, from, to, .. }) => {
            ("move", Some(cell.to_string()), Some(from.to_string()), to)
        }
        What::Retire(SiteId { cell, region }) => ("retire", Some(cell.to_string()), None, region),
        What::Add(SiteId { cell, region }) => ("add", Some(cell.to_string()), None, region),
    };
    let (attempt, took_ms, hold_ms, why) = match &step.state {
        StepState::Waiting => (None, None, None, None),
        StepState::Going { attempt, .. } => (Some(*attempt), None, None, None),
        StepState::Done { took_ms, hold_ms } => (None, Some(*took_ms), *hold_ms, None),
        StepState::Skipped(why) | StepState::Failed(why) => (None, None, None, Some(why.clone())),
    };
    let (state, to) = (step.state.name(), to.to_string());
    StepView { what, cell, from, to, state, attempt, took_ms, hold_ms, why }
}
