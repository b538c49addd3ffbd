//! Moving a cell to a standby, by plan.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use runtime::Problem;
use runtime::json_body::JsonBody;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;
use topology::{CellId, Epoch, Phase, RegionId, SiteId};

use super::{ahead, epoch, opened, recorded, region, sentence, standing};
use crate::api::audit::{Act, Reply, Subject, audited};
use crate::api::auth::Caller;
use crate::api::call::Call;
use crate::api::cells::{cell_id, known};
use crate::api::write::{DoneOrAhead, Flags, Write};
use crate::api::{Api, error, problem, view};
use crate::callers::Role;
use crate::decide::operation::{Operation, StepState, What};
use crate::decide::switchover::Refusal;
use crate::levers;
use crate::levers::at_once::{self, Started};
use crate::levers::request::Request;
use crate::levers::switchover::Order;
use crate::tasks::operate::Handover;
use crate::tasks::switch::{Handed, Undone};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct SwitchoverRequest {
    /// The region to move to: one of the cell's voters.
    to: String,
    /// For whoever reads the audit log; at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Names of safety rules that shall not stand in the way. Takes an admin, and a reason.
    #[serde(rename = "override", default, skip_serializing_if = "Vec::is_empty")]
    override_rules: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Switched {
    /// The operation that it was.
    operation: String,
    cell: String,
    from: String,
    to: String,
    epoch: u64,
    took_ms: u64,
    /// How much of that nobody served; `null` where whoever knew has died.
    hold_ms: Option<u64>,
}

pub(in crate::api) fn call() -> Call {
    Call::post("/v1/cells/{id}/switchover")
        .of("cells", "Moves a cell to a standby, by plan.")
        .about(
            "Answers once the new active site is open. Both sides must be alive. It is an operation: whoever \
             gets no answer finds it there.",
        )
        .id("The cell")
        .query::<Flags>()
        .takes::<SwitchoverRequest>(json!({ "to": "south" }))
        .write()
        .answers("The cell is active there", &DoneOrAhead::Done(example()))
        .problems(&[
            &problem::UNKNOWN_CELL,
            &problem::OVERTAKEN,
            &problem::ABORTED,
            &problem::NOT_STEADY,
            &problem::ALREADY_ACTIVE,
            &problem::NOT_A_STANDBY,
            &problem::ACTIVE_UNREACHABLE,
            &problem::TARGET_UNREACHABLE,
            &problem::TARGET_LAGGING,
            &problem::NOT_OPENED,
            &problem::FROZEN,
            &problem::OUTSIDE_WINDOW,
            &problem::REGION_DRAINED,
            &problem::NO_HEADROOM,
            &problem::OPERATION_RUNNING,
            &problem::NOT_UNDERSTOOD,
            &problem::OUTCOME_PENDING,
            &problem::STALE,
            &problem::KEY_REUSED,
            &problem::NOTHING_KNOWN,
        ])
}

fn example() -> Switched {
    Switched {
        operation: "op-000012".to_owned(),
        cell: "c1".to_owned(),
        from: "east".to_owned(),
        to: "south".to_owned(),
        epoch: 9,
        took_ms: 412,
        hold_ms: Some(230),
    }
}

pub(in crate::api) async fn switchover(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<SwitchoverRequest>,
) -> Result<Response, Problem> {
    if !request.override_rules.is_empty() {
        caller.require(Role::Admin)?;
    }
    known(&api)?;
    let site = SiteId { cell: cell_id(&id)?, region: region("/to", &request.to)? };
    let reason = sentence("/reason", request.reason.as_deref())?;
    levers::may_override(&request.override_rules, reason.as_deref())?;
    let planned = write.expected.as_deref().map(epoch).transpose()?;
    if write.dry_run {
        return ahead::switchover(&api, &site).await;
    }
    let act = Act {
        who: caller.clone(),
        what: "switchover",
        subject: Subject::Cell(site.cell.clone()),
        reason: reason.clone(),
        idempotency_key: write.idempotency_key.clone(),
    };
    let order = Order {
        site,
        request: Request {
            who: caller.name,
            reason,
            override_rules: request.override_rules.clone(),
            idempotency_key: write.idempotency_key,
        },
        planned,
    };
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            let switched = switch(&api, &order).await?;
            Ok(Reply::new(200, &switched))
        })
    })
    .await
}

async fn switch(api: &Api, order: &Order) -> Result<Switched, Problem> {
    let asked = Instant::now();
    let (started, handed) = levers::switchover::begin(api, order).await?;
    let (id, ended) = match started {
        Started::Now { id, ended } => (id, ended),
        Started::Elsewhere { id, begun } => {
            let SiteId { cell, region: to } = &order.site;
            let switched = tokio::select! {
                biased;
                ended = at_once::ended(api, &id, *begun) => as_recorded(&id, &ended?),
                epoch = unopened(api, cell, to) => {
                    Err(error::not_opened(epoch.0, &standing(api, cell)))
                }
            };
            return switched.map_err(|problem| problem.with("operation", id));
        }
    };
    let switched = opens(api, &id, order, handed, asked).await;
    recorded(api, &id, ended).await;
    switched.map_err(|problem| problem.with("operation", id))
}

/// Waits until the target has opened its epoch.
async fn opens(
    api: &Api,
    id: &str,
    order: &Order,
    handed: oneshot::Receiver<Handover>,
    asked: Instant,
) -> Result<Switched, Problem> {
    let SiteId { cell, region: to } = &order.site;
    let handed = match handed.await.map_err(|closed| error::stopping(&closed))? {
        // Nobody has named an epoch: the cell has changed since the move was written down.
        Err(Undone::Refused(Refusal::Stale { .. })) if order.planned.is_none() => {
            Err(Undone::Overtaken)
        }
        handed => handed,
    };
    let Handed { from, epoch, announced } = handed.map_err(|undone| error::undone(&undone))?;
    if !opened(api, cell, to, epoch).await? {
        return Err(error::not_opened(epoch.0, &standing(api, cell)));
    }
    Ok(Switched {
        operation: id.to_owned(),
        cell: cell.to_string(),
        from: from.to_string(),
        to: to.to_string(),
        epoch: epoch.0,
        took_ms: view::millis(asked.elapsed()),
        hold_ms: Some(view::millis(announced.elapsed())),
    })
}

/// Returns once a target that another control plane has promoted does not open its epoch in time.
async fn unopened(api: &Api, cell: &CellId, to: &RegionId) -> Epoch {
    let mut state = api.state.clone();
    let promoted = state.wait_for(|state| {
        state.cells().get(cell).is_some_and(|seen| {
            matches!(&seen.routed.activation.phase, Phase::Promoting { active } if active == to)
        })
    });
    let epoch = promoted
        .await
        .ok()
        .and_then(|state| state.cells().get(cell).map(|seen| seen.routed.activation.epoch));
    if let Some(epoch) = epoch
        && let Ok(false) = opened(api, cell, to, epoch).await
    {
        return epoch;
    }
    // It has opened, or this process stops: the record says the rest.
    std::future::pending().await
}

/// Answers as the record says: another has executed it.
fn as_recorded(id: &str, operation: &Operation) -> Result<Switched, Problem> {
    let step = operation.steps().next().map(|step| (&step.what, &step.state));
    let Some((What::Move(planned), StepState::Done { took_ms, hold_ms, epoch: Some(epoch) })) =
        step
    else {
        return Err(error::not_moved(id, operation));
    };
    Ok(Switched {
        operation: id.to_owned(),
        cell: planned.cell.to_string(),
        from: planned.from.to_string(),
        to: planned.to.to_string(),
        epoch: epoch.0,
        took_ms: *took_ms,
        hold_ms: *hold_ms,
    })
}
