//! A write that was asked for before with the same key: the audit log has what was answered, whichever
//! control plane it was, as far back as it goes.

use axum::response::{IntoResponse as _, Response};
use runtime::Problem;
use topology::wire::audit::{AuditRecord, Outcome};
use topology::wire::header::IDEMPOTENCY_REPLAYED;

use super::{Api, HEADER, Reply, error};
use crate::levers::asked;
use crate::store::etcd::AUDIT_KEPT;

/// Returns the answer to the same write asked for earlier, if it was. What could not be done for want
/// of etcd or because a process ended may be tried again.
pub(super) async fn earlier(api: &Api, now: &AuditRecord) -> Result<Option<Response>, Problem> {
    let Some(key) = &now.idempotency_key else { return Ok(None) };
    let entries = asked(|| api.store.audit(AUDIT_KEPT)).await?;
    let mut same = entries.into_iter().filter(|(_, entry)| {
        let retryable = entry.outcome.as_ref().is_some_and(|outcome| outcome.status >= 500);
        entry.who == now.who && entry.idempotency_key.as_ref() == Some(key) && !retryable
    });
    let Some((id, entry)) = same.next() else { return Ok(None) };
    let what = |record: &AuditRecord| {
        let AuditRecord { what, cell, region, operation, body, .. } = record;
        (what.clone(), cell.clone(), region.clone(), operation.clone(), body.clone())
    };
    if what(&entry) != what(now) {
        return Err(error::key_reused());
    }
    let Some(Outcome { status, body, .. }) = entry.outcome else {
        return Err(error::outcome_pending(&id));
    };
    if status >= 400 {
        let problem: Problem = serde_json::from_value(body).unwrap_or_else(|err| {
            Problem::new(status, "refused", "It was refused").detail(err.to_string())
        });
        return Err(problem.header(IDEMPOTENCY_REPLAYED, "true").header(HEADER, id));
    }
    let reply = Reply { status, body, headers: Vec::new() };
    Ok(Some(reply.header(IDEMPOTENCY_REPLAYED, "true").header(HEADER, &id).into_response()))
}
