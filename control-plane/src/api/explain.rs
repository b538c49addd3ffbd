//! Where a user's requests go, or went at a moment that is over, and why.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Json, Response};
use runtime::json_body::invalid;
use runtime::moment::Moment;
use runtime::{Problem, clock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topology::wire::cause::CauseRecord;
use topology::wire::history::HistoryRecord;
use topology::{CellId, Slot};

use super::call::Call;
use super::cells::known;
use super::{Api, error, etag, problem, view};
use crate::decide::history::{Whereabouts, whereabouts};
use crate::decide::state::SeenCell;
use crate::levers::glanced;

/// Longest id of a user that is looked up.
const USER_MAX: usize = 256;
/// Entries of a cell's history that are told: the newest before the moment, and the moment's own.
const TOLD_MAX: usize = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The user's id, as in their token.
    #[schemars(length(min = 1, max = 256))]
    user: String,
    /// A moment of the last thirty days, as `2026-11-22T14:05:07Z` or in milliseconds since 1970; now
    /// without it.
    at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Explained {
    user: String,
    slot: u16,
    /// The cell that owns the slot: it has the user's data.
    cell: String,
    at_unix_ms: u64,
    #[serde(flatten)]
    told: Told,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Told {
    /// `serving`, or `moving` while no site served.
    state: &'static str,
    epoch: u64,
    /// The region whose site was active, or is about to be; `null` while that is not decided.
    active: Option<String>,
    gateway: Option<String>,
    /// Since when and until when that was so, as far as it is recorded.
    since_unix_ms: Option<u64>,
    until_unix_ms: Option<u64>,
    /// What moved the cell there.
    why: String,
    /// Which operation that was, or which failure; `null` at the first start, and where it is not
    /// recorded.
    cause: Option<CauseRecord>,
    /// Where more is told of it: the operation, or what control planes noticed and decided then.
    link: Option<String>,
    /// How it came about, the newest first; `null` while etcd, which has it, does not answer.
    history: Option<Vec<Entry>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HistoryEntry")]
struct Entry {
    #[serde(flatten)]
    record: HistoryRecord,
    /// Where more is told of what moved the cell, if it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

pub(super) fn call() -> Call {
    Call::get("/v1/route/explain")
        .of("platform", "Explains where a user's requests go, or went.")
        .about(
            "Without `at` it is answered from what this control plane knows, even without etcd; \
             `history` is then `null`, and `since_unix_ms` too.",
        )
        .query::<Question>()
        .answers("Where, under which epoch, and why", &example())
        .aged()
        .problems(&[
            &problem::INVALID,
            &problem::NOTHING_RECORDED,
            &problem::NOTHING_KNOWN,
            &problem::ETCD_UNREACHABLE,
        ])
}

fn example() -> Explained {
    let at = view::example::AT_UNIX_MS;
    let (cause, reason) = (Some(view::example::cause()), view::example::REASON.to_owned());
    let link = Some("/v1/operations/op-000012".to_owned());
    let record = HistoryRecord {
        epoch: 9,
        active: "south".to_owned(),
        begun_unix_ms: at - 5_107_000,
        opened_unix_ms: at - 5_106_860,
        cause: cause.clone(),
        reason: reason.clone(),
        vantage: "north".to_owned(),
    };
    let told = Told {
        state: "serving",
        epoch: 9,
        active: Some("south".to_owned()),
        gateway: Some("127.3.1.1:8000".to_owned()),
        since_unix_ms: Some(record.opened_unix_ms),
        until_unix_ms: None,
        why: reason,
        cause,
        link: link.clone(),
        history: Some(vec![Entry { record, link }]),
    };
    let (user, cell) = ("alice".to_owned(), "c1".to_owned());
    Explained { slot: Slot::of(&user).number(), user, cell, at_unix_ms: at, told }
}

pub(super) async fn explain(
    State(api): State<Api>,
    query: Result<Query<Question>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Question { user, at }) = query.map_err(|err| invalid("", &err.body_text()))?;
    if !(1..=USER_MAX).contains(&user.chars().count()) {
        return Err(invalid("", &format!("user has 1 to {USER_MAX} characters")));
    }
    let now = clock::unix_millis();
    let at = at.as_deref().map(|at| moment(at, now)).transpose()?;
    let state = known(&api)?;
    let slot = Slot::of(&user);
    let placement = state.placement().ok_or_else(error::nothing_known)?;
    let cell = placement.cell_of(slot);
    let seen = state.cells().get(cell).ok_or_else(error::nothing_known)?;
    let told = if let Some(at) = at {
        let records = api.store.history(cell).await;
        past(cell, seen, &records.map_err(|err| error::etcd_unreachable(&err))?, at)?
    } else {
        // The answer is known without it.
        let records = glanced(&state, || api.store.history(cell)).await.ok();
        present(cell, seen, records.as_deref())
    };
    let (slot, at_unix_ms) = (slot.number(), at.unwrap_or(now));
    let cell_id = cell.to_string();
    let explained = Explained { user, slot, cell: cell_id, at_unix_ms, told };
    Ok(([etag::age(&state)], Json(explained)).into_response())
}

fn moment(text: &str, now: u64) -> Result<u64, Problem> {
    let read = text.parse().ok().or_else(|| Moment::parse(text)?.unix_millis());
    let at = read.ok_or_else(|| {
        invalid("", "at is a moment as 2026-11-22T14:05:07Z, or milliseconds since 1970")
    })?;
    if at > now {
        return Err(invalid("", "at is a moment that is over"));
    }
    Ok(at)
}

/// Answers from what is known, and from what is recorded, if that could be read.
fn present(cell: &CellId, seen: &SeenCell, records: Option<&[HistoryRecord]>) -> Told {
    let activation = &seen.routed.activation;
    let mut known = records.into_iter().flatten();
    let own = known.find(|record| record.epoch == activation.epoch.0);
    let cause = activation.cause.as_ref().map(CauseRecord::from);
    Told {
        state: if activation.serving().is_some() { "serving" } else { "moving" },
        epoch: activation.epoch.0,
        active: activation.holder().map(ToString::to_string),
        gateway: gateway(seen, activation.holder().map(topology::RegionId::as_str)),
        since_unix_ms: own.map(|record| record.opened_unix_ms),
        until_unix_ms: None,
        why: own.map_or_else(|| activation.reason.clone(), |record| record.reason.clone()),
        link: cause.as_ref().map(|cause| link(cell, cause)),
        cause,
        history: records.map(|records| told(cell, records.iter())),
    }
}

fn past(
    cell: &CellId,
    seen: &SeenCell,
    records: &[HistoryRecord],
    at: u64,
) -> Result<Told, Problem> {
    let (state, record, since, until) = match whereabouts(records, at) {
        Whereabouts::Unrecorded => {
            let detail = records.first().map_or_else(
                || format!("nothing is recorded of cell {cell}"),
                |first| {
                    let since = Moment::from_unix_millis(first.begun_unix_ms);
                    format!("what is recorded of cell {cell} begins at {since}")
                },
            );
            return Err(problem::NOTHING_RECORDED.problem().detail(detail));
        }
        Whereabouts::Serving(record, until) => ("serving", record, record.opened_unix_ms, until),
        Whereabouts::Moving(record) => {
            ("moving", record, record.begun_unix_ms, Some(record.opened_unix_ms))
        }
    };
    let before = records.iter().filter(|one| one.epoch <= record.epoch);
    Ok(Told {
        state,
        epoch: record.epoch,
        active: Some(record.active.clone()),
        gateway: gateway(seen, Some(&record.active)),
        since_unix_ms: Some(since),
        until_unix_ms: until,
        why: record.reason.clone(),
        cause: record.cause.clone(),
        link: record.cause.as_ref().map(|cause| link(cell, cause)),
        history: Some(told(cell, before)),
    })
}

/// Returns the newest of these, the last one first.
fn told<'a>(
    cell: &CellId,
    records: impl DoubleEndedIterator<Item = &'a HistoryRecord>,
) -> Vec<Entry> {
    let newest = records.rev().take(TOLD_MAX).cloned();
    newest
        .map(|record| Entry { link: record.cause.as_ref().map(|cause| link(cell, cause)), record })
        .collect()
}

/// An operation may be forgotten before the history is; the audit log tells of it then.
fn link(cell: &CellId, cause: &CauseRecord) -> String {
    match &cause.operation {
        Some(id) => format!("/v1/operations/{id}"),
        None => format!("/v1/cells/{cell}/evidence"),
    }
}

fn gateway(seen: &SeenCell, region: Option<&str>) -> Option<String> {
    let gateways = &seen.routed.gateways;
    let (_, address) = gateways.iter().find(|(id, _)| Some(id.as_str()) == region)?;
    Some(address.to_string())
}
