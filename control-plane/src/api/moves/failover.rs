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
use tokio::time::{Instant, timeout};
use topology::{CellId, Epoch};

use super::{ahead, epoch, opened, recorded, region, sentence, standing};
use crate::api::audit::{Act, Reply, Subject, audited};
use crate::api::auth::Caller;
use crate::api::call::Call;
use crate::api::cells::{cell_id, known};
use crate::api::write::{DoneOrAhead, Flags, Write};
use crate::api::{Api, error, problem, view};
use crate::callers::Role;
use crate::decide::asked_failover::Asked;
use crate::decide::operation::{Election, Operation, StepState, What};
use crate::levers;
use crate::levers::at_once::{self, Started};
use crate::levers::failover::Order;
use crate::levers::request::Request;
use crate::tasks::fail_over::{Elected, Forced};
use crate::tasks::operate::Elections;

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
    /// The operation that it was.
    operation: String,
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
        .about(
            "Cells do so by themselves; this is for those that cannot. Giving up data takes an admin. It is \
             an operation: whoever gets no answer finds it there. A dry run asks nobody: its `loss` says \
             what could be lost, by what the sites have said of themselves.",
        )
        .id("The cell")
        .query::<Flags>()
        .takes::<FailoverRequest>(json!({
            "accept_data_loss": true, "reason": "east and north have burnt down",
        }))
        .write()
        .answers("A standby is promoted", &DoneOrAhead::Done(example()))
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
            &problem::OPERATION_RUNNING,
            &problem::FAILOVER_FAILED,
            &problem::OUTCOME_PENDING,
            &problem::STALE,
            &problem::KEY_REUSED,
            &problem::NOTHING_KNOWN,
        ])
}

/// What is answered to the request that is shown.
fn example() -> FailedOver {
    let gives_up = GivesUp {
        further: None,
        bytes: 0,
        later_timeline: false,
        unheard: vec!["east".to_owned(), "north".to_owned()],
        acknowledged_writes: true,
    };
    let position = Position { timeline: 3, lsn: 50_331_648 };
    FailedOver {
        operation: "op-000012".to_owned(),
        cell: "c1".to_owned(),
        from: Some("east".to_owned()),
        to: "south".to_owned(),
        epoch: 9,
        took_ms: 3930,
        opened: false,
        votes: Some(BTreeMap::from([("south".to_owned(), position)])),
        gives_up: Some(gives_up),
    }
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
    let reason = sentence("/reason", request.reason.as_deref())?;
    // Data is given up only by somebody who says why.
    if request.accept_data_loss && reason.is_none() && !write.dry_run {
        return Err(invalid("/reason", "accepting data loss takes a reason"));
    }
    let planned = write.expected.as_deref().map(epoch).transpose()?;
    let wanted = Asked { cell: cell.clone(), to, accept_data_loss: request.accept_data_loss };
    if write.dry_run {
        return ahead::failover(&api, &wanted).await;
    }
    let act = Act {
        who: caller.clone(),
        what: "failover",
        subject: Subject::Cell(cell),
        reason: reason.clone(),
        idempotency_key: write.idempotency_key.clone(),
    };
    let order = Order {
        wanted,
        request: Request {
            who: caller.name,
            reason,
            override_rules: Vec::new(),
            idempotency_key: write.idempotency_key,
        },
        planned,
    };
    audited(&api, act, &request, {
        let api = api.clone();
        Box::pin(async move {
            let done = fail_over(&api, &order).await?;
            Ok(Reply::new(200, &done))
        })
    })
    .await
}

async fn fail_over(api: &Api, order: &Order) -> Result<FailedOver, Problem> {
    let asked = Instant::now();
    let (started, elected) = levers::failover::begin(api, order).await?;
    let (id, ended) = match started {
        Started::Now { id, ended } => (id, ended),
        Started::Elsewhere { id, begun } => {
            let ended = at_once::ended(api, &id, *begun).await?;
            return as_recorded(api, &id, &ended);
        }
    };
    let answer = if let Ok(elected) = timeout(ELECT, elected).await {
        let elected = elected.map_err(|closed| error::stopping(&closed))?;
        let done = opens(api, &id, &order.wanted, elected, asked).await;
        recorded(api, &id, ended).await;
        done
    } else {
        // It goes on, and so does the election.
        let cell = &order.wanted.cell;
        Err(error::still_electing(cell, &standing(api, cell)))
    };
    answer.map_err(|problem| problem.with("operation", id))
}

/// Waits until whoever was elected has opened their epoch.
async fn opens(
    api: &Api,
    id: &str,
    wanted: &Asked,
    elected: Elections,
    asked: Instant,
) -> Result<FailedOver, Problem> {
    let cell = &wanted.cell;
    let elected = elected.map_err(|unelected| error::unelected(cell, &unelected))?;
    let Elected { from, winner, epoch, forced: price } = elected;
    let opened = opened(api, cell, &winner, epoch).await?;
    if !opened && !wanted.accept_data_loss {
        return Err(error::not_opened(epoch.0, &standing(api, cell)));
    }
    let (votes, gives_up) = price.map(told).unzip();
    Ok(FailedOver {
        operation: id.to_owned(),
        cell: cell.to_string(),
        from: from.as_ref().map(ToString::to_string),
        to: winner.to_string(),
        epoch: epoch.0,
        took_ms: view::millis(asked.elapsed()),
        opened,
        votes,
        gives_up,
    })
}

/// Answers as the record says: whoever was asked before has died. What data loss gave up died with them;
/// `lost-writes` of the cell tells once those are back who had it.
fn as_recorded(api: &Api, id: &str, operation: &Operation) -> Result<FailedOver, Problem> {
    let step = operation.steps().next().map(|step| (&step.what, &step.state));
    let Some((
        What::Elect(Election { cell, from, to: Some(winner), .. }),
        StepState::Done { took_ms, epoch: Some(epoch), .. },
    )) = step
    else {
        return Err(error::not_moved(id, operation));
    };
    Ok(FailedOver {
        operation: id.to_owned(),
        cell: cell.to_string(),
        from: from.as_ref().map(ToString::to_string),
        to: winner.to_string(),
        epoch: epoch.0,
        took_ms: *took_ms,
        opened: is_open(api, cell, *epoch),
        votes: None,
        gives_up: None,
    })
}

/// Whether an epoch has been opened. A forced one may be later than its operation ends.
fn is_open(api: &Api, cell: &CellId, epoch: Epoch) -> bool {
    let state = api.state.borrow();
    state.cells().get(cell).is_some_and(|seen| {
        let activation = &seen.routed.activation;
        activation.epoch > epoch || (activation.epoch == epoch && activation.serving().is_some())
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
