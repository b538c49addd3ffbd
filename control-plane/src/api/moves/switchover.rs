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
use topology::{CellId, Epoch, RegionId};

use super::{ahead, epoch, opened, region, sentence, standing};
use crate::api::audit::{Act, Reply, Subject, audited};
use crate::api::auth::Caller;
use crate::api::call::Call;
use crate::api::cells::{cell_id, known};
use crate::api::write::{DoneOrAhead, Flags, Write};
use crate::api::{Api, error, problem, view};
use crate::callers::Role;
use crate::levers;
use crate::tasks::control::Order;
use crate::tasks::switch::{Handed, Switchover};

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
    cell: String,
    from: String,
    to: String,
    epoch: u64,
    took_ms: u64,
    /// How much of that nobody served.
    hold_ms: u64,
}

pub(in crate::api) fn call() -> Call {
    Call::post("/v1/cells/{id}/switchover")
        .of("cells", "Moves a cell to a standby, by plan.")
        .about("Answers once the new active site is open. Both sides must be alive.")
        .id("The cell")
        .query::<Flags>()
        .takes::<SwitchoverRequest>(json!({ "to": "south" }))
        .write()
        .answers::<DoneOrAhead<Switched>>("The cell is active there")
        .example(json!({
            "cell": "c1", "from": "east", "to": "south", "epoch": 8, "took_ms": 412, "hold_ms": 230,
        }))
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
            &problem::OUTCOME_PENDING,
            &problem::STALE,
            &problem::KEY_REUSED,
            &problem::NOTHING_KNOWN,
        ])
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
    let cell = cell_id(&id)?;
    let to = region("/to", &request.to)?;
    let reason = sentence("/reason", request.reason.as_deref())?;
    levers::may_override(&request.override_rules, reason.as_deref())?;
    let planned = write.expected.as_deref().map(epoch).transpose()?;
    if write.dry_run {
        return ahead::switchover(&api, &cell, &to).await;
    }
    let act = Act {
        who: caller,
        what: "switchover",
        subject: Subject::Cell(cell.clone()),
        reason,
        idempotency_key: write.idempotency_key,
    };
    let overridden = request.override_rules.clone();
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            let switched = switch(&api, cell, to, planned, &overridden).await?;
            Ok(Reply::new(200, &switched))
        })
    })
    .await
}

async fn switch(
    api: &Api,
    cell: CellId,
    to: RegionId,
    planned: Option<Epoch>,
    overridden: &[String],
) -> Result<Switched, Problem> {
    let begun = Instant::now();
    let broken = ahead::broken(&levers::fresh(api).await?, &api.spec, &cell, &to);
    levers::permitted(&broken, overridden)?;
    let (reply, answer) = oneshot::channel();
    let order =
        Order::Switchover(Switchover { cell: cell.clone(), to: to.clone(), planned, reply });
    api.orders.send(order).await.map_err(|closed| error::stopping(&closed))?;
    let handed = answer.await.map_err(|closed| error::stopping(&closed))?;
    let Handed { from, epoch, announced } = handed.map_err(|undone| error::undone(&undone))?;
    if !opened(api, &cell, &to, epoch).await? {
        return Err(error::not_opened(epoch.0, &standing(api, &cell)));
    }
    let (took_ms, hold_ms) = (view::millis(begun.elapsed()), view::millis(announced.elapsed()));
    let (cell, from, to) = (cell.to_string(), from.to_string(), to.to_string());
    Ok(Switched { cell, from, to, epoch: epoch.0, took_ms, hold_ms })
}
