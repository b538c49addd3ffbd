//! The event log, live: server-sent events that miss nothing the log still has.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream::unfold;
use runtime::Problem;
use runtime::json_body::invalid;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::call::Call;
use super::cells::known;
use super::list::{Asked, Page, PageQuery};
use super::view::example::AT_UNIX_MS;
use super::{Api, etag, problem};
use crate::event_log::Event;

/// Proxies commonly close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An event of the log.
#[derive(Serialize, JsonSchema)]
struct Kept {
    id: u64,
    name: &'static str,
    #[serde(flatten)]
    event: Event,
}

pub(super) fn call() -> Call {
    Call::get("/v1/events")
        .of("records", "Tells what happens, as it happens.")
        .about(
            "A stream of server-sent events: what happens from now on, or what came after \
             `Last-Event-ID`, as far as it is kept: the last thousand. What happens to cells has \
             `cell` and `epoch`; `operation-begun`, `-step`, `-waits`, `-cancelled` and `-ended` \
             have `operation`; `region-drained`, `region-restored`, `freeze` and `freeze-over` are \
             what people have set; `suite-followed`, `suite-let-go`, `drill-begun`, `drill-ended` \
             and `drill-waits` tell of drills by schedule. Asked for `application/json`, a page of what is \
             kept instead, the newest first. Each control plane keeps what it has seen itself: \
             while etcd does not answer it sees nothing of it, and a page is as old as its `Age`.",
        )
        .query::<PageQuery>()
        .parameter(json!({ "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "The id of the last event that was received",
            "schema": { "type": "integer", "minimum": 0 } }))
        .answers_as("text/event-stream", "Events, the page as JSON", &example_line())
        .answers("Events, or a page of them", &Page { data: vec![example()], next: None })
        .aged()
        .problems(&[&problem::INVALID, &problem::NOTHING_KNOWN])
}

fn example() -> Kept {
    let event = Event {
        id: AT_UNIX_MS,
        name: "operation-begun",
        at_unix_ms: AT_UNIX_MS,
        operation: Some("op-000012".to_owned()),
        region: Some("east".to_owned()),
        reason: "evacuate east: asked by mei in north".to_owned(),
        evidence: "0 of 2 steps".to_owned(),
        ..Event::default()
    };
    Kept { id: event.id, name: event.name, event }
}

/// The same as the stream has it.
fn example_line() -> String {
    let Kept { id, name, event } = example();
    let data = serde_json::to_string(&event).expect("an event is plain JSON");
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

pub(super) async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = PageQuery::asked(query)?;
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("application/json")) {
        let age = etag::age(&*known(&api)?);
        return Ok(([age], page(&api, asked)?).into_response());
    }
    let newest = api.log.newest();
    let after = match headers.get("last-event-id").map(|id| id.to_str().map(str::parse::<u64>)) {
        None => *newest.borrow(),
        Some(Ok(Ok(id))) => id,
        Some(_) => {
            return Err(invalid("", "Last-Event-ID is a number, as in the events' `id:` lines"));
        }
    };
    let state = Arc::clone(&api.state.borrow());
    let age = state.read_at().map(|_| [etag::age(&state)]);
    let listener = Listener { api, newest, after, waiting: VecDeque::new() };
    let lines = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(line(&event)), listener))
    });
    let lines = Sse::new(lines).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok((age, lines).into_response())
}

fn page(api: &Api, asked: Asked) -> Result<Json<Page<Kept>>, Problem> {
    let Asked { limit, cursor } = asked;
    let before = cursor.map(|cursor| cursor.parse::<u64>()).transpose();
    let before =
        before.map_err(|err| invalid("", &format!("no cursor that was given out: {err}")))?;
    let limit = usize::from(limit);
    let kept = api.log.before(before, limit);
    let next = kept.last().filter(|_| kept.len() == limit).map(|event| event.id.to_string());
    let data = kept.into_iter().map(|event| Kept { id: event.id, name: event.name, event });
    Ok(Json(Page { data: data.collect(), next }))
}

struct Listener {
    api: Api,
    newest: tokio::sync::watch::Receiver<u64>,
    after: u64,
    waiting: VecDeque<Event>,
}

impl Listener {
    /// Returns the next event, or `None` when the process ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.id;
                return Some(event);
            }
            self.newest.borrow_and_update();
            self.waiting = self.api.log.after(self.after).into();
            if self.waiting.is_empty() {
                tokio::select! {
                    changed = self.newest.changed() => changed.ok()?,
                    () = self.api.stop.cancelled() => return None,
                }
            }
        }
    }
}

fn line(event: &Event) -> Line {
    let data = serde_json::to_string(event).expect("an event is plain JSON");
    Line::default().id(event.id.to_string()).event(event.name).data(data)
}
