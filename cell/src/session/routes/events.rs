//! `/v1/conversations/{id}/events`: a conversation's stream as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt as _;
use futures_util::stream::{Stream, once, unfold};
use runtime::Problem;
use serde_json::json;

use super::stream::{From, PING, Reader, Told};
use crate::database::Failure;
use crate::gateway::query::Query;
use crate::gateway::{Actor, Permit};
use crate::session::Session;

/// How soon a client comes back after an end.
const RETRY: Duration = Duration::from_secs(2);

pub(super) async fn stream(
    State(session): State<Arc<Session>>,
    actor: Actor,
    permit: Permit,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let after = last_event(&headers)?.or(from.after_seq).unwrap_or(0);
    let reader = Reader::open(session, actor, permit, &id, after).await?;
    // Flushes the head, and tells when to come back.
    let opened = once(async { Event::default().retry(RETRY).comment("open") });
    let events = unfold(reader, |mut reader| async move {
        let told = reader.next().await?;
        Some((event(&told), reader))
    });
    let stream = opened.chain(events).map(Ok);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(PING).text("ping")))
}

fn event(told: &Told) -> Event {
    match told {
        Told::Message(message) => {
            let data = serde_json::to_string(message).expect("a message is plain JSON");
            Event::default().id(message.seq.to_string()).event("message.created").data(data)
        }
        Told::Ticket(id) => {
            Event::default().event("ticket.created").data(json!({ "ticket_id": id }).to_string())
        }
        Told::Moved(after) => {
            Event::default().event("moved").data(json!({ "after_seq": after }).to_string())
        }
    }
}

fn last_event(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let seq = id.to_str().ok().and_then(|id| id.parse().ok());
    seq.map(Some).ok_or_else(|| {
        Problem::new(400, "validation-error", "The request is not valid")
            .detail("Last-Event-ID is not the number of a message")
    })
}
