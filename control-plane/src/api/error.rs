//! Every problem this API answers with.

use axum::response::IntoResponse as _;
use axum::response::Response;
use client::etcd::EtcdError;
use runtime::Problem;
use topology::CellId;

use super::problem;
use crate::decide::asked_failover;
use crate::decide::data_loss::Blocked;
use crate::decide::switchover::Refusal;
use crate::tasks::fail_over::Unelected;
use crate::tasks::switch::Undone;

pub(super) fn no_such_route() -> Response {
    problem::NO_SUCH_ROUTE.problem().into_response()
}

pub(super) fn method_not_allowed() -> Response {
    problem::METHOD_NOT_ALLOWED.problem().into_response()
}

pub(super) fn unknown_cell(id: &str) -> Problem {
    problem::UNKNOWN_CELL.problem().detail(format!("cell {id:?}"))
}

/// etcd has not been read since this process started.
pub(super) fn nothing_known() -> Problem {
    problem::NOTHING_KNOWN.problem().header("retry-after", "1")
}

/// The loop that answers has ended: so does this process.
pub(super) fn stopping(closed: &impl std::error::Error) -> Problem {
    problem::STOPPING.problem().detail(closed.to_string()).header("retry-after", "1")
}

/// Why a cell was not moved as asked.
pub(super) fn undone(undone: &Undone) -> Problem {
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
        Refusal::AlreadyActive(_) => problem::ALREADY_ACTIVE,
        Refusal::NotAStandby(_) => problem::NOT_A_STANDBY,
        Refusal::ActiveUnreachable(_) => problem::ACTIVE_UNREACHABLE,
        Refusal::TargetUnreachable(_) => problem::TARGET_UNREACHABLE,
        Refusal::TargetLagging { .. } => problem::TARGET_LAGGING,
    };
    kind.problem().detail(refusal.to_string())
}

/// Why nobody was promoted, or somebody else than asked for.
pub(super) fn unelected(cell: &CellId, unelected: &Unelected) -> Problem {
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
pub(super) fn still_electing(cell: &CellId, now: &str) -> Problem {
    problem::STILL_ELECTING.problem().detail(format!(
        "the cell is now {now}, and its voters are asked on; see GET /v1/cells/{cell}"
    ))
}

/// Nothing was done: what cannot be written down is not done.
pub(super) fn etcd_unreachable(err: &EtcdError) -> Problem {
    problem::ETCD_UNREACHABLE.problem().detail(err.to_string()).header("retry-after", "1")
}

/// The move was carried out up to the promotion, which then did not end as it should.
pub(super) fn not_opened(epoch: u64, now: &str) -> Problem {
    problem::NOT_OPENED
        .problem()
        .detail(format!("promoted under epoch {epoch}; the cell is now {now}"))
        .with("epoch", epoch)
}

#[cfg(test)]
mod tests;
