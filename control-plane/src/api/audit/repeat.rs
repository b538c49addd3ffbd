//! A write that was asked for before with the same key: the audit log has what was answered, whichever
//! control plane it was, as far back as it goes.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use runtime::Problem;
use sha2::{Digest as _, Sha256};
use topology::wire::audit::{AuditRecord, Outcome};
use topology::wire::header::IDEMPOTENCY_REPLAYED;

use super::{Api, HEADER, Reply, error, next_id};
use crate::api::problem;
use crate::levers::asked;

/// How long a write may go on: longer than any does, so that whoever has no outcome by then has died.
const LONGEST_MS: u64 = 120_000;

/// Returns the id of an act's entry. One with a key is found again by the end of its id.
pub(super) fn id(record: &AuditRecord) -> String {
    let id = next_id(&record.vantage);
    match end(record) {
        Some(end) => format!("{id}{end}"),
        None => id,
    }
}

/// Returns what the ids of all acts end with that were asked for by the same with the same key.
fn end(record: &AuditRecord) -> Option<String> {
    let key = record.idempotency_key.as_ref()?;
    let digest: [u8; 32] = Sha256::digest(format!("{}\0{key}", record.who)).into();
    let start = digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    Some(format!("-{start:016x}"))
}

/// Returns the answer to the same write asked for earlier, if it was. What could not be done for want
/// of etcd or because a process ended may be tried again, and what went on may have come to its end.
pub(super) async fn earlier(api: &Api, now: &AuditRecord) -> Result<Option<Response>, Problem> {
    let Some(end) = end(now) else { return Ok(None) };
    let entries = asked(|| api.store.audit_ending(&end)).await?;
    let mut same = entries.into_iter().filter(|(_, entry)| {
        let retryable = entry.outcome.as_ref().is_some_and(|outcome| {
            outcome.status >= 500 || outcome.body["code"] == problem::OUTCOME_PENDING.code
        });
        entry.who == now.who && entry.idempotency_key == now.idempotency_key && !retryable
    });
    let Some((id, entry)) = same.next() else { return Ok(None) };
    let what = |record: &AuditRecord| {
        let AuditRecord { what, cell, region, operation, body, .. } = record;
        (what.clone(), cell.clone(), region.clone(), operation.clone(), body.clone())
    };
    if what(&entry) != what(now) {
        return Err(error::key_reused());
    }
    let Some(Outcome { status, body, headers, .. }) = entry.outcome else {
        let is_over = now.at_unix_ms.saturating_sub(entry.at_unix_ms) > LONGEST_MS;
        if is_over || finds_itself(&entry.what) {
            return Ok(None);
        }
        return Err(error::outcome_pending(&id));
    };
    if status >= 400 {
        let problem: Problem = serde_json::from_value(body).unwrap_or_else(|err| {
            Problem::new(status, "refused", "It was refused").detail(err.to_string())
        });
        return Err(problem.header(IDEMPOTENCY_REPLAYED, "true").header(HEADER, id));
    }
    let reply = Reply { status, body, headers: Vec::new() };
    let reply = reply.header(IDEMPOTENCY_REPLAYED, "true").header(HEADER, &id);
    let mut response = reply.into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(Some(response))
}

/// Whether a write finds what the same one has done before, however far that came: operations are
/// found by their key, and to cancel twice is to cancel once.
fn finds_itself(what: &str) -> bool {
    let kinds = ["evacuate", "restore", "drain", "undrain", "retire-site", "add-site", "cancel"];
    kinds.contains(&what)
}
