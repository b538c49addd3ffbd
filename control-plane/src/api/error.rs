//! Every problem this API answers with.

use axum::response::IntoResponse as _;
use axum::response::Response;
use client::etcd::EtcdError;
use runtime::Problem;
use topology::CellId;

use crate::decide::asked_failover;
use crate::decide::data_loss::Blocked;
use crate::decide::switchover::Refusal;
use crate::tasks::fail_over::Unelected;
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

/// Why nobody was promoted, or somebody else than asked for.
pub(super) fn unelected(cell: &CellId, unelected: &Unelected) -> Problem {
    let (code, title) = match unelected {
        Unelected::Refused(refusal) => return failover_refused(refusal),
        Unelected::TooFewVotes(_) => {
            let detail = format!(
                "{unelected}. Nothing was changed. With accept_data_loss and a reason, the furthest \
                 site that answers is promoted all the same, and strong writes are given up that \
                 were acknowledged and that only the others have: see POST \
                 /v1/cells/{cell}/failover"
            );
            return Problem::new(409, "too-few-votes", "The voters that answer do not suffice")
                .detail(detail);
        }
        Unelected::Further { .. } => {
            ("other-promoted", "Another site was further, and is promoted")
        }
        Unelected::Blocked(Blocked::NotFrozen { .. }) => {
            ("not-frozen", "A site answers and does not freeze its vote")
        }
        Unelected::Blocked(Blocked::NobodyAnswers | Blocked::NotTarget(_)) => {
            ("nobody-to-promote", "No site answers that could be promoted")
        }
        Unelected::Overtaken => ("overtaken", "Somebody else changed the cell first"),
    };
    Problem::new(409, code, title).detail(unelected.to_string())
}

fn failover_refused(refusal: &asked_failover::Refusal) -> Problem {
    use asked_failover::Refusal;
    let (code, title) = match refusal {
        Refusal::UnknownCell(cell) => return unknown_cell(CellId::as_str(cell)),
        Refusal::NotAVoter(_) => ("not-a-standby", "The cell has no voting standby there"),
        Refusal::NotASite(_) => ("not-a-site", "The cell has no site there"),
        Refusal::NoDatabase => ("no-database", "The cell has no database yet"),
        Refusal::ActiveServes(_) => ("active-serves", "The active site is in its right"),
        Refusal::Electing(_) => ("electing", "The cell elects its active site already"),
        Refusal::Outdated => ("outdated", "The cell's record in etcd is an older one"),
        Refusal::TargetUnreachable(_) => ("target-unreachable", "The target does not answer"),
        Refusal::Behind { .. } => ("target-behind", "Another site is further"),
    };
    let mut detail = refusal.to_string();
    if let Refusal::Electing(_) = refusal {
        detail += "; with accept_data_loss and a reason, the furthest site that answers is promoted \
                   without the votes that are missing, and what only the others have is given up";
    }
    Problem::new(409, code, title).detail(detail)
}

/// The election was begun, and goes on.
pub(super) fn still_electing(cell: &CellId, now: &str) -> Problem {
    Problem::new(409, "still-electing", "The election has not come to a result yet").detail(
        format!("the cell is now {now}, and its voters are asked on; see GET /v1/cells/{cell}"),
    )
}

/// Nothing was done: what cannot be written down is not done.
pub(super) fn etcd_unreachable(err: &EtcdError) -> Problem {
    Problem::new(503, "etcd-unreachable", "etcd does not answer")
        .detail(err.to_string())
        .header("retry-after", "1")
}

/// The move was carried out up to the promotion, which then did not end as it should.
pub(super) fn not_opened(epoch: u64, now: &str) -> Problem {
    Problem::new(409, "switchover-unfinished", "The target has not opened its epoch in time")
        .detail(format!("promoted under epoch {epoch}; the cell is now {now}"))
        .with("epoch", epoch)
}
