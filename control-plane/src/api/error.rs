//! Every problem this API answers with.

use std::time::Duration;

use axum::response::IntoResponse as _;
use axum::response::Response;
use client::etcd::EtcdError;
use runtime::Problem;
use serde_json::json;
use topology::{CellId, RegionId};

use super::problem;
use crate::decide::asked_failover;
use crate::decide::data_loss::Blocked;
use crate::decide::operation::exclude::Common;
use crate::decide::operation::{Goal, Operation, Status};
use crate::decide::safety::{Broken, Rule};
use crate::decide::switchover::Refusal;
use crate::tasks::fail_over::Unelected;
use crate::tasks::switch::Undone;

pub(crate) fn no_such_route() -> Response {
    problem::NO_SUCH_ROUTE.problem().into_response()
}

pub(crate) fn method_not_allowed() -> Response {
    problem::METHOD_NOT_ALLOWED.problem().into_response()
}

pub(crate) fn unknown_cell(id: &str) -> Problem {
    problem::UNKNOWN_CELL.problem().detail(format!("cell {id:?}"))
}

pub(crate) fn unknown_region(id: &str) -> Problem {
    problem::UNKNOWN_REGION.problem().detail(format!("region {id:?}"))
}

pub(crate) fn unknown_operation(id: &str) -> Problem {
    problem::UNKNOWN_OPERATION.problem().detail(format!("operation {id:?}"))
}

pub(crate) fn unknown_drill(id: &str) -> Problem {
    problem::UNKNOWN_DRILL.problem().detail(format!("run {id:?}"))
}

/// A plan would break safety rules: the first one is the problem, all of them are named.
pub(crate) fn broken(first: &Broken, broken: &[&Broken]) -> Problem {
    let kind = match first.rule {
        Rule::Frozen => problem::FROZEN,
        Rule::OutsideWindow => problem::OUTSIDE_WINDOW,
        Rule::RegionDrained => problem::REGION_DRAINED,
        Rule::SecondRegion => problem::SECOND_REGION,
        Rule::NoReadySite => problem::NO_READY_SITE,
        Rule::NoHeadroom => problem::NO_HEADROOM,
        Rule::NotUnderstood => problem::NOT_UNDERSTOOD,
    };
    let rule = |broken: &&Broken| {
        let Broken { rule, detail } = broken;
        let may = rule.may_be_overridden();
        json!({ "rule": rule.code(), "detail": detail, "may_be_overridden": may })
    };
    let rules: Vec<serde_json::Value> = broken.iter().map(rule).collect();
    kind.problem().detail(first.detail.clone()).with("rules", rules)
}

/// Two plans about the same could break together what neither breaks alone.
pub(crate) fn operation_running(id: &str, operation: &Operation, common: Common<'_>) -> Problem {
    let Operation { goal, status, .. } = operation;
    let detail = format!("{id}, to {goal}, is {}, and {common}", status.name());
    problem::OPERATION_RUNNING.problem().detail(detail).with("operation", id)
}

/// A move that was asked for before did not end as it should.
pub(crate) fn not_moved(id: &str, operation: &Operation) -> Problem {
    let Operation { goal, status, .. } = operation;
    let why = match status {
        Status::Failed(why) => format!(": {why}"),
        Status::Running | Status::Undoing | Status::Done | Status::Cancelled => String::new(),
    };
    let detail = format!("{id}, to {goal}, is {}{why}", status.name());
    let kind = match goal {
        Goal::Failover { .. } => problem::FAILOVER_FAILED,
        Goal::Evacuate(_)
        | Goal::Restore(_)
        | Goal::Drain(_)
        | Goal::Undrain(_)
        | Goal::RetireSite(_)
        | Goal::AddSite(_)
        | Goal::Switchover(_) => problem::ABORTED,
    };
    kind.problem().detail(detail).with("operation", id)
}

/// A move that was asked for before has not come to its end yet.
pub(crate) fn goes_on(id: &str, operation: &Operation) -> Problem {
    let detail = format!("{id}, to {}, goes on", operation.goal);
    problem::OUTCOME_PENDING.problem().detail(detail).with("operation", id)
}

/// What it moves is not left between two sites.
pub(crate) fn too_late(id: &str, operation: &Operation, why: &str) -> Problem {
    let detail = format!("{id}, to {}, has begun: {why}", operation.goal);
    problem::TOO_LATE.problem().detail(detail).with("operation", id)
}

pub(crate) fn operation_ended(id: &str, operation: &Operation) -> Problem {
    let Operation { goal, status, .. } = operation;
    let detail = format!("{id}, to {goal}, is {}", status.name());
    problem::OPERATION_ENDED.problem().detail(detail)
}

pub(crate) fn overtaken(why: &str) -> Problem {
    problem::OVERTAKEN.problem().detail(why)
}

/// The key names another write than this.
pub(crate) fn key_reused() -> Problem {
    problem::KEY_REUSED.problem()
}

/// The same write was asked for before, and has no outcome.
pub(crate) fn outcome_pending(audit: &str) -> Problem {
    problem::OUTCOME_PENDING.problem().detail(format!("entry {audit}")).with("audit", audit)
}

/// Refuses what rests on another state than the one there is.
pub(crate) fn matches(expected: &str, now: &str) -> Result<(), Problem> {
    let named = expected.split(',').any(|tag| tag.trim().trim_start_matches("W/") == now);
    if named { Ok(()) } else { Err(stale(expected, now)) }
}

fn stale(expected: &str, now: &str) -> Problem {
    problem::STALE
        .problem()
        .detail(format!("it was {expected}, and it is {now} by now"))
        .with("etag", now)
        .header("etag", now)
}

/// etcd has not been read since this process started.
pub(crate) fn nothing_known() -> Problem {
    problem::NOTHING_KNOWN.problem().header("retry-after", "1")
}

/// The loop that answers has ended: so does this process.
pub(crate) fn stopping(closed: &impl std::error::Error) -> Problem {
    problem::STOPPING.problem().detail(closed.to_string()).header("retry-after", "1")
}

/// Why a cell was not moved as asked.
pub(crate) fn undone(undone: &Undone) -> Problem {
    let kind = match undone {
        Undone::Refused(refusal) => return refused(refusal),
        Undone::Overtaken => problem::OVERTAKEN,
        Undone::Aborted(_) => problem::ABORTED,
    };
    kind.problem().detail(undone.to_string())
}

fn refused(refusal: &Refusal) -> Problem {
    let kind = match refusal {
        Refusal::UnknownCell(cell) => return unknown_cell(CellId::as_str(cell)),
        Refusal::NotSteady(_) => problem::NOT_STEADY,
        Refusal::Frozen(_) => problem::FROZEN,
        Refusal::AlreadyActive(_) => problem::ALREADY_ACTIVE,
        Refusal::NotAStandby(_) | Refusal::KeptOut(_) => problem::NOT_A_STANDBY,
        Refusal::ActiveUnreachable(_) => problem::ACTIVE_UNREACHABLE,
        Refusal::TargetUnreachable(_) => problem::TARGET_UNREACHABLE,
        Refusal::TargetLagging { .. } => problem::TARGET_LAGGING,
        Refusal::Stale { planned, now } => {
            return stale(&format!("\"{planned}\""), &format!("\"{now}\""));
        }
    };
    kind.problem().detail(refusal.to_string())
}

/// The cell has no site in a region there is.
pub(crate) fn not_a_site(cell: &CellId, region: &RegionId) -> Problem {
    problem::NOT_A_SITE.problem().detail(format!("{cell} has no site in {region}"))
}

/// Why nobody was promoted, or somebody else than asked for.
pub(crate) fn unelected(cell: &CellId, unelected: &Unelected) -> Problem {
    let kind = match unelected {
        Unelected::Refused(refusal) => return failover_refused(refusal),
        Unelected::TooFewVotes(_) => {
            let detail = format!(
                "{unelected}. Nothing was changed. With accept_data_loss and a reason, the furthest \
                 site that answers is promoted all the same, and strong writes are given up that \
                 were acknowledged and that only the others have: see POST \
                 /v1/cells/{cell}/failover"
            );
            return problem::TOO_FEW_VOTES.problem().detail(detail);
        }
        Unelected::Further { .. } => problem::OTHER_PROMOTED,
        Unelected::Blocked(Blocked::NotFrozen { .. }) => problem::NOT_FROZEN,
        Unelected::Blocked(Blocked::NobodyAnswers | Blocked::NotTarget(_)) => {
            problem::NOBODY_TO_PROMOTE
        }
        Unelected::Overtaken => problem::OVERTAKEN,
    };
    kind.problem().detail(unelected.to_string())
}

fn failover_refused(refusal: &asked_failover::Refusal) -> Problem {
    use asked_failover::Refusal;
    let kind = match refusal {
        Refusal::UnknownCell(cell) => return unknown_cell(CellId::as_str(cell)),
        Refusal::NotAVoter(_) => problem::NOT_A_STANDBY,
        Refusal::NotASite(_) => problem::NOT_A_SITE,
        Refusal::NoDatabase => problem::NO_DATABASE,
        Refusal::ActiveServes(_) => problem::ACTIVE_SERVES,
        Refusal::Electing(_) => problem::ELECTING,
        Refusal::Outdated => problem::OUTDATED,
        Refusal::TargetUnreachable(_) => problem::TARGET_UNREACHABLE,
        Refusal::TargetDrained(_) => problem::REGION_DRAINED,
        Refusal::Behind { .. } => problem::TARGET_BEHIND,
    };
    let mut detail = refusal.to_string();
    if let Refusal::Electing(_) = refusal {
        detail += "; with accept_data_loss and a reason, the furthest site that answers is promoted \
                   without the votes that are missing, and what only the others have is given up";
    }
    kind.problem().detail(detail)
}

/// The election was begun, and goes on.
pub(crate) fn still_electing(cell: &CellId, now: &str) -> Problem {
    problem::STILL_ELECTING.problem().detail(format!(
        "the cell is now {now}, and its voters are asked on; see GET /v1/cells/{cell}"
    ))
}

/// Nothing was done: what cannot be written down is not done.
pub(crate) fn etcd_unreachable(err: &EtcdError) -> Problem {
    problem::ETCD_UNREACHABLE.problem().detail(err.to_string()).header("retry-after", "1")
}

/// It is none of those that went on when etcd last answered.
pub(crate) fn etcd_unseen(id: &str) -> Problem {
    let detail = format!("operation {id:?} did not go on when it was last read; it may have ended");
    problem::ETCD_UNREACHABLE.problem().detail(detail).header("retry-after", "1")
}

/// The same, where it says nothing at all.
pub(crate) fn etcd_silent(waited: Duration) -> Problem {
    let detail = format!("no answer within {} ms", waited.as_millis());
    problem::ETCD_UNREACHABLE.problem().detail(detail).header("retry-after", "1")
}

/// The move was carried out up to the promotion, which then did not end as it should.
pub(crate) fn not_opened(epoch: u64, now: &str) -> Problem {
    problem::NOT_OPENED
        .problem()
        .detail(format!("promoted under epoch {epoch}; the cell is now {now}"))
        .with("epoch", epoch)
}

#[cfg(test)]
mod tests;
