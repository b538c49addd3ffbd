//! Promoting a standby of a cell whose active site is lost, because a person says so.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use topology::{CellId, Epoch};

use super::{ahead, epoch, opened, region, sentence, standing};
use crate::api::audit::{Act, Reply, Subject, audited};
use crate::api::auth::Caller;
use crate::api::call::Call;
use crate::api::cells::{cell_id, known};
use crate::api::write::{DoneOrAhead, Flags, Write};
use crate::api::{Api, error, problem, view};
use crate::callers::Role;
use crate::decide::asked_failover::Asked;
use crate::decide::switchover;
use crate::tasks::control::Order;
use crate::tasks::fail_over::{Elected, Failover, Forced};
use crate::tasks::switch::Undone;

/// How long an election may take: longer than forcing one is tried. What was begun goes on.
const ELECT: Duration = Duration::from_secs(20);

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct FailoverRequest {
    /// The region to promote; whoever is furthest without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Promote without enough votes. Takes an admin, and a reason.
    #[serde(default)]
    accept_data_loss: bool,
    /// For whoever reads the audit log; at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct FailedOver {
    cell: String,
    from: Option<String>,
    to: String,
    epoch: u64,
    took_ms: u64,
    /// Whether the epoch is open by now. Without any voter that takes a while, and the cell is then
    /// at risk.
    opened: bool,
    /// Where data loss was accepted: how far everybody was, and what that gives up.
    #[serde(skip_serializing_if = "Option::is_none")]
    votes: Option<BTreeMap<String, Position>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gives_up: Option<GivesUp>,
}

#[derive(Serialize, JsonSchema)]
struct Position {
    timeline: u32,
    lsn: u64,
}

#[derive(Serialize, JsonSchema)]
struct GivesUp {
    /// Who answered and had more, because another was insisted on.
    further: Option<String>,
    /// How many bytes of write-ahead log `further` had more.
    bytes: u64,
    /// `further` was on a later timeline: its history is another one, and bytes do not tell.
    later_timeline: bool,
    /// Sites that could not be asked: what only they have is lost.
    unheard: Vec<String>,
    /// Whether strong writes that were acknowledged may be among it.
    acknowledged_writes: bool,
}

pub(in crate::api) fn call() -> Call {
    Call::post("/v1/cells/{id}/failover")
        .of("cells", "Promotes a standby of a cell whose active site is lost.")
        .about("Cells do so by themselves; this is for those that cannot. Giving up data takes an admin.")
        .id("The cell")
        .query::<Flags>()
        .takes::<FailoverRequest>(json!({
            "accept_data_loss": true, "reason": "east and north have burnt down",
        }))
        .write()
        .answers::<DoneOrAhead<FailedOver>>("A standby is promoted")
        .example(json!({
            "cell": "c1", "from": "east", "to": "south", "epoch": 8, "took_ms": 930, "opened": true,
        }))
        .problems(&[
            &problem::UNKNOWN_CELL,
            &problem::OVERTAKEN,
            &problem::TOO_FEW_VOTES,
            &problem::OTHER_PROMOTED,
            &problem::NOT_FROZEN,
            &problem::NOBODY_TO_PROMOTE,
            &problem::NOT_A_STANDBY,
            &problem::NOT_A_SITE,
            &problem::NO_DATABASE,
            &problem::ACTIVE_SERVES,
            &problem::ELECTING,
            &problem::OUTDATED,
            &problem::TARGET_UNREACHABLE,
            &problem::TARGET_BEHIND,
            &problem::STILL_ELECTING,
            &problem::NOT_OPENED,
            &problem::REGION_DRAINED,
            &problem::OUTCOME_PENDING,
            &problem::STALE,
            &problem::KEY_REUSED,
            &problem::NOTHING_KNOWN,
        ])
}

pub(in crate::api) async fn failover(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    write: Write,
    JsonBody(request): JsonBody<FailoverRequest>,
) -> Result<Response, Problem> {
    if request.accept_data_loss {
        caller.require(Role::Admin)?;
    }
    known(&api)?;
    let cell = cell_id(&id)?;
    let to = request.to.as_deref().map(|to| region("/to", to)).transpose()?;
    let reason = reason(&request)?;
    let planned = write.expected.as_deref().map(epoch).transpose()?;
    let asked = Asked { cell: cell.clone(), to, accept_data_loss: reason };
    if write.dry_run {
        return ahead::failover(&api, &asked).await;
    }
    let act = Act {
        who: caller,
        what: "failover",
        subject: Subject::Cell(cell),
        reason: request.reason.clone(),
        idempotency_key: write.idempotency_key,
    };
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            still(&api, &asked.cell, planned)?;
            let done = fail_over(&api, asked).await?;
            Ok(Reply::new(200, &done))
        })
    })
    .await
}

/// Data is given up only by somebody who says why.
fn reason(request: &FailoverRequest) -> Result<Option<String>, Problem> {
    match sentence("/reason", request.reason.as_deref())? {
        Some(reason) if request.accept_data_loss => Ok(Some(reason)),
        None if request.accept_data_loss => {
            Err(invalid("/reason", "accepting data loss takes a reason"))
        }
        Some(_) | None => Ok(None),
    }
}

fn still(api: &Api, cell: &CellId, planned: Option<Epoch>) -> Result<(), Problem> {
    let state = api.state.borrow();
    switchover::still(&state, cell, planned)
        .map_err(|refusal| error::undone(&Undone::Refused(refusal)))
}

async fn fail_over(api: &Api, asked: Asked) -> Result<FailedOver, Problem> {
    let begun = Instant::now();
    let (cell, forced) = (asked.cell.clone(), asked.accept_data_loss.is_some());
    let (reply, answer) = oneshot::channel();
    let order = Order::Failover(Failover { asked, reply });
    api.orders.send(order).await.map_err(|closed| error::stopping(&closed))?;
    let elected = match timeout(ELECT, answer).await {
        Ok(answer) => answer.map_err(|closed| error::stopping(&closed))?,
        Err(_) => return Err(error::still_electing(&cell, &standing(api, &cell))),
    };
    let elected = elected.map_err(|unelected| error::unelected(&cell, &unelected))?;
    let Elected { from, winner, epoch, forced: price } = elected;
    let opened = opened(api, &cell, &winner, epoch).await?;
    if !opened && !forced {
        return Err(error::not_opened(epoch.0, &standing(api, &cell)));
    }
    let (votes, gives_up) = price.map(told).unzip();
    Ok(FailedOver {
        cell: cell.to_string(),
        from: from.as_ref().map(ToString::to_string),
        to: winner.to_string(),
        epoch: epoch.0,
        took_ms: view::millis(begun.elapsed()),
        opened,
        votes,
        gives_up,
    })
}

fn told(forced: Forced) -> (BTreeMap<String, Position>, GivesUp) {
    let Forced { votes, gives_up } = forced;
    let votes = votes.into_iter().map(|(region, vote)| {
        (region.to_string(), Position { timeline: vote.timeline, lsn: vote.lsn })
    });
    let behind = gives_up.behind.as_ref();
    let gives_up = GivesUp {
        further: behind.map(|behind| behind.region.to_string()),
        bytes: behind.map_or(0, |behind| behind.bytes),
        later_timeline: behind.is_some_and(|behind| behind.later_timeline),
        unheard: gives_up.unheard.iter().map(ToString::to_string).collect(),
        acknowledged_writes: !gives_up.nothing_acknowledged,
    };
    (votes.collect(), gives_up)
}
