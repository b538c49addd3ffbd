//! The audit log: written before anything is done, completed with what came of it.

mod repeat;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use runtime::{Problem, clock};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;
use topology::wire::audit::{AuditRecord, Evidence, Outcome, SiteEvidence};
use topology::{CellId, RegionId, SiteId};
use tracing::{error, info};

use super::auth::Caller;
use super::call::Call;
use super::list::{Asked, Page, PageQuery};
use super::{Api, error, problem, view};
use crate::decide::State as Known;
use crate::levers::asked;

/// Names the entry in which a write and what came of it is kept.
pub(super) const HEADER: &str = "audit-id";
/// Longest body of a refusal kept with its entry; longer than any problem.
const REFUSAL_MAX: usize = 16 * 1024;
/// The last id this process used: two acts of one moment get two.
static LAST: AtomicU64 = AtomicU64::new(0);

/// What somebody is about to do.
pub(super) struct Act {
    pub(super) who: Caller,
    pub(super) what: &'static str,
    pub(super) subject: Subject,
    pub(super) reason: Option<String>,
    pub(super) idempotency_key: Option<String>,
}

/// What it is about.
pub(super) enum Subject {
    Cell(CellId),
    Region(RegionId),
    Site(SiteId),
    Operation(String),
    Platform,
}

/// What is answered to an act that was done.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn new(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_value(body).unwrap_or(Value::Null);
        Self { status, body, headers: Vec::new() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body)).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[derive(Serialize, JsonSchema)]
struct Entry {
    id: String,
    #[serde(flatten)]
    record: AuditRecord,
}

pub(super) fn call() -> Call {
    Call::get("/v1/audit")
        .of("records", "Lists who did what, when and why, the newest first.")
        .about(
            "Writes that were refused are among it, but for those without a known token, those of a \
             caller that asks too often, and most of a long row of refusals of one caller.",
        )
        .query::<PageQuery>()
        .answers("A page of the audit log", &Page { data: vec![example()], next: None })
        .problems(&[&problem::INVALID, &problem::ETCD_UNREACHABLE])
}

fn example() -> Entry {
    let at_unix_ms = view::example::AT_UNIX_MS;
    let outcome = Outcome {
        at_unix_ms: at_unix_ms + 40,
        status: 200,
        body: json!({ "frozen": true, "reason": "we are looking", "who": "ada",
            "since_unix_ms": at_unix_ms, "until_unix_ms": null }),
        headers: BTreeMap::from([("etag".to_owned(), "\"4\"".to_owned())]),
    };
    let record = AuditRecord {
        at_unix_ms,
        who: "ada".to_owned(),
        vantage: "north".to_owned(),
        what: "freeze".to_owned(),
        cell: None,
        region: None,
        operation: None,
        idempotency_key: None,
        body: json!({ "frozen": true, "reason": "we are looking" }),
        reason: Some("we are looking".to_owned()),
        evidence: None,
        outcome: Some(outcome),
    };
    Entry { id: format!("{at_unix_ms}-north"), record }
}

pub(super) async fn list(
    State(api): State<Api>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Asked { limit, cursor } = PageQuery::asked(query)?;
    let page = api.store.audit_page(cursor.as_deref(), limit).await;
    let (entries, next) = page.map_err(|err| error::etcd_unreachable(&err))?;
    let data = entries.into_iter().map(|(id, record)| Entry { id, record }).collect();
    Ok(Json(Page { data, next }).into_response())
}

/// Does what is asked between the two writes of its entry, to its end, whether or not whoever asked
/// waits for it. Without the first write nothing is done. What was asked before with the same key is
/// not done again.
pub(super) async fn audited(
    api: &Api,
    act: Act,
    body: &impl Serialize,
    deed: impl Future<Output = Result<Reply, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let mut record = record(api, act, body);
    let id = repeat::id(&record);
    if let Some(before) = repeat::earlier(api, &record).await? {
        return Ok(before);
    }
    let AuditRecord { who, what, cell, region, operation, reason, .. } = &record;
    info!(audit = id, who, what, cell, region, operation, reason, body = %record.body, "asked");
    asked(|| api.store.write_audit(&id, &record)).await?;
    let written = id.clone();
    let (reply, answer) = oneshot::channel();
    let store = api.store.clone();
    let deed = async move {
        let result = deed.await;
        let (status, body, headers) = match &result {
            Ok(Reply { status, body, headers }) => {
                let headers =
                    headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                (*status, body.clone(), headers.collect())
            }
            Err(problem) => {
                let body = serde_json::to_value(problem).unwrap_or(Value::Null);
                (problem.status, body, BTreeMap::new())
            }
        };
        info!(audit = id, status, outcome = %body, "done");
        let at_unix_ms = clock::unix_millis();
        record.outcome = Some(Outcome { at_unix_ms, status, body, headers });
        if let Err(err) = store.write_audit(&id, &record).await {
            error!(audit = id, error = %err, "audit entry left without its outcome");
        }
        if let Err(err) = store.shorten_audit().await {
            info!(error = %err, "audit log not shortened");
        }
        if reply.send(result).is_err() {
            info!(audit = id, "nobody waits for it any more");
        }
    };
    api.deeds.send(Box::pin(deed)).await.map_err(|closed| error::stopping(&closed))?;
    let result = answer.await.map_err(|closed| error::stopping(&closed))?;
    match result {
        Ok(done) => Ok(([(HEADER, written)], done).into_response()),
        Err(problem) => Err(problem.header(HEADER, written)),
    }
}

/// Writes down a write that was refused before anything was done. Where that cannot be, the refusal
/// is answered all the same: it changes nothing.
pub(super) async fn refused(api: &Api, who: Caller, what: String, answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let body = to_bytes(body, REFUSAL_MAX).await.unwrap_or_else(|err| {
        error!(error = %err, "refusal not read");
        Bytes::new()
    });
    let id = next_id(api.vantage.as_str());
    let outcome = Outcome {
        at_unix_ms: clock::unix_millis(),
        status: head.status.as_u16(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        headers: BTreeMap::new(),
    };
    let record = AuditRecord {
        at_unix_ms: outcome.at_unix_ms,
        who: who.name,
        vantage: api.vantage.to_string(),
        what,
        cell: None,
        region: None,
        operation: None,
        idempotency_key: None,
        body: Value::Null,
        reason: None,
        evidence: None,
        outcome: Some(outcome),
    };
    let AuditRecord { who, what, .. } = &record;
    info!(audit = id, who, what, status = head.status.as_u16(), "refused");
    let kept = async {
        api.store.write_audit(&id, &record).await?;
        api.store.shorten_audit().await
    };
    match kept.await {
        Ok(()) => {
            let value = HeaderValue::try_from(id).expect("an id is digits and a region");
            head.headers.insert(HEADER, value);
        }
        Err(err) => error!(audit = id, error = %err, "refusal not written down"),
    }
    Response::from_parts(head, Body::from(body))
}

/// Ids are in the order of time, and never the same in two regions.
pub(crate) fn next_id(vantage: &str) -> String {
    let now = clock::unix_millis();
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    let unique = if last >= now { LAST.fetch_add(1, Ordering::Relaxed) + 1 } else { now };
    format!("{unique:013}-{vantage}")
}

fn record(api: &Api, act: Act, body: &impl Serialize) -> AuditRecord {
    let Act { who, what, subject, reason, idempotency_key } = act;
    let (cell, region, operation) = match &subject {
        Subject::Cell(cell) => (Some(cell.to_string()), None, None),
        Subject::Region(region) => (None, Some(region.to_string()), None),
        Subject::Site(SiteId { cell, region }) => {
            (Some(cell.to_string()), Some(region.to_string()), None)
        }
        Subject::Operation(id) => (None, None, Some(id.clone())),
        Subject::Platform => (None, None, None),
    };
    let evidence = match &subject {
        Subject::Cell(cell) | Subject::Site(SiteId { cell, .. }) => {
            Some(evidence(&api.state.borrow(), cell, Instant::now()))
        }
        Subject::Region(_) | Subject::Operation(_) | Subject::Platform => None,
    };
    AuditRecord {
        at_unix_ms: clock::unix_millis(),
        who: who.name,
        vantage: api.vantage.to_string(),
        what: what.to_owned(),
        cell,
        region,
        operation,
        idempotency_key,
        body: serde_json::to_value(body).unwrap_or(Value::Null),
        reason,
        evidence,
        outcome: None,
    }
}

/// Returns what is known of a cell, as it is written down.
pub(crate) fn evidence(state: &Known, cell: &CellId, now: Instant) -> Evidence {
    let Some(seen) = state.cells().get(cell) else { return Evidence::default() };
    let activation = &seen.routed.activation;
    let sites = seen.routed.gateways.keys().map(|region| {
        let site = state.site(cell, region);
        let report = site.report();
        let evidence = SiteEvidence {
            reachable: site.is_reachable(),
            tenure: report.map(|report| report.tenure),
            epoch: report.map(|report| report.epoch),
            timeline: report.map(|report| report.timeline),
            lsn: report.map(|report| report.lsn),
        };
        (region.to_string(), evidence)
    });
    Evidence {
        epoch: activation.epoch.0,
        phase: activation.phase.to_string(),
        voters: activation.voters.iter().map(ToString::to_string).collect(),
        lease_age_ms: seen.lease.as_ref().map(|lease| view::millis(now - lease.since)),
        sites: sites.collect::<BTreeMap<_, _>>(),
    }
}
