//! Every problem this API answers with.

use axum::response::IntoResponse as _;
use axum::response::Response;
use runtime::Problem;
use topology::CellId;

use crate::decide::switchover::Refusal;
use crate::tasks::switch::Undone;

pub(super) fn no_such_route() -> Response {
    Problem::new(404, "no-such-route", "There is nothing at this path").into_response()
}

pub(super) fn method_not_allowed() -> Response {
    Problem::new(405, "method-not-allowed", "This path does not take this method").into_response()
}

pub(super) fn unknown_cell(id: &str) -> Problem {
    Problem::new(404, "unknown-cell", "There is no such cell").detail(format!("cell {id:?}"))
}

/// etcd has not been read since this process started.
pub(super) fn nothing_known() -> Problem {
    Problem::new(503, "nothing-known", "This control plane has not read etcd yet")
        .header("retry-after", "1")
}

/// The loop that answers has ended: so does this process.
pub(super) fn stopping(closed: &impl std::error::Error) -> Problem {
    Problem::new(503, "stopping", "This control plane is stopping")
        .detail(closed.to_string())
        .header("retry-after", "1")
}

/// Why a cell was not moved as asked.
pub(super) fn undone(undone: &Undone) -> Problem {
    let (code, title) = match undone {
        Undone::Refused(refusal) => return refused(refusal),
        Undone::Overtaken => ("overtaken", "Somebody else changed the cell first"),
        Undone::Aborted(_) => ("switchover-aborted", "The planned move was aborted"),
    };
    Problem::new(409, code, title).detail(undone.to_string())
}

fn refused(refusal: &Refusal) -> Problem {
    let (code, title) = match refusal {
        Refusal::UnknownCell(cell) => return unknown_cell(CellId::as_str(cell)),
        Refusal::NotSteady(_) => ("not-steady", "The cell is being moved already"),
        Refusal::AlreadyActive(_) => ("already-active", "The cell is active there already"),
        Refusal::NotAStandby(_) => ("not-a-standby", "The cell has no voting standby there"),
        Refusal::ActiveUnreachable(_) => {
            ("active-unreachable", "The active site could not hand over")
        }
        Refusal::TargetUnreachable(_) => ("target-unreachable", "The target does not answer"),
        Refusal::TargetLagging { .. } => ("target-lagging", "The target does not keep up"),
    };
    Problem::new(409, code, title).detail(refusal.to_string())
}

/// The move was carried out up to the promotion, which then did not end as it should.
pub(super) fn not_opened(epoch: u64, now: &str) -> Problem {
    Problem::new(409, "switchover-unfinished", "The target has not opened its epoch in time")
        .detail(format!("promoted under epoch {epoch}; the cell is now {now}"))
        .with("epoch", epoch)
}
