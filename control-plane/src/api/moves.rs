//! Moving a cell: by plan, or because its active site is lost and a person says so.

mod ahead;

use std::collections::BTreeMap;
use std::sync::Arc;
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
use topology::{CellId, Epoch, Phase, RegionId};

use super::audit::{Act, Reply, Subject, audited};
use super::auth::Caller;
use super::call::Call;
use super::cells::{cell_id, known};
use super::write::{DoneOrAhead, Flags, Write};
use super::{Api, error, problem, view};
use crate::callers::Role;
use crate::decide::asked_failover::Asked;
use crate::decide::switchover;
use crate::levers;
use crate::tasks::control::Order;
use crate::tasks::fail_over::{Elected, Failover, Forced};
use crate::tasks::switch::{Handed, Switchover, Undone};

/// How long a promoted target may take to open its epoch; a cell that takes longer is in trouble,
/// and whoever asked should look.
const OPEN: Duration = Duration::from_secs(5);
/// How long an election may take: longer than forcing one is tried. What was begun goes on.
const ELECT: Duration = Duration::from_secs(20);
/// A reason is a sentence or three, for whoever reads the audit log.
const REASON_MAX: usize = 500;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchoverRequest {
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

pub(super) fn switchover_call() -> Call {
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

pub(super) async fn switchover(
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

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FailoverRequest {
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

pub(super) fn failover_call() -> Call {
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

pub(super) async fn failover(
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

/// Reads what somebody says for the audit log; blanks say nothing.
pub(super) fn sentence(pointer: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > REASON_MAX) {
        return Err(invalid(pointer, &format!("a reason has at most {REASON_MAX} characters")));
    }
    Ok(text.map(ToOwned::to_owned))
}

/// A cell's tag is its epoch.
fn epoch(tag: &str) -> Result<Epoch, Problem> {
    let number = tag.trim_matches('"').parse().map(Epoch);
    number.map_err(|err| {
        let why = format!("If-Match {tag:?} is no cell's ETag, such as \"7\": {err}");
        invalid("", &why)
    })
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

/// Waits until the target has opened its epoch, and returns whether it has.
async fn opened(api: &Api, cell: &CellId, to: &RegionId, epoch: Epoch) -> Result<bool, Problem> {
    let steady = Phase::Steady { active: to.clone() };
    let mut state = api.state.clone();
    let ended = state.wait_for(|state| {
        state.cells().get(cell).is_some_and(|seen| {
            let activation = &seen.routed.activation;
            activation.epoch > epoch || (activation.epoch == epoch && activation.phase == steady)
        })
    });
    if let Ok(Err(closed)) = timeout(OPEN, ended).await {
        return Err(error::stopping(&closed));
    }
    let state = Arc::clone(&api.state.borrow());
    Ok(state.cells().get(cell).is_some_and(|seen| {
        let activation = &seen.routed.activation;
        activation.epoch == epoch && activation.phase == steady
    }))
}

/// Says how the cell is now.
fn standing(api: &Api, cell: &CellId) -> String {
    let state = api.state.borrow();
    let seen = state.cells().get(cell);
    seen.map_or_else(|| "gone".to_owned(), |seen| seen.routed.activation.to_string())
}

fn region(pointer: &str, text: &str) -> Result<RegionId, Problem> {
    text.parse().map_err(|err: topology::InvalidId| invalid(pointer, &err.to_string()))
}
