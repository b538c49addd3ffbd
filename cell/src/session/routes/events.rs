//! `/v1/conversations/{id}/events`: what happens in a conversation, as it happens.
//!
//! A client that comes back with the last number it saw misses nothing: the stream is read from
//! the database, and what happens in between only wakes it up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use runtime::Problem;
use runtime::clock::BootTime;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use topology::Epoch;
use topology::spec::Durability;
use tracing::debug;
use uuid::Uuid;

use super::conversation_id;
use crate::database::{Failure, Transaction};
use crate::gateway::decide::admit::may_begin;
use crate::gateway::query::Query;
use crate::gateway::refusal::{self, not_found};
use crate::gateway::{Caller, Permit, Right};
use crate::session::message::Message;
use crate::session::{Session, conversation, message};

/// Between two signs of life, so that nobody on the way takes the stream for dead.
const PING: Duration = Duration::from_secs(15);
/// How soon a client comes back after an end.
const RETRY: Duration = Duration::from_secs(2);
/// How often an unchanged right is looked at: it runs out by itself.
const LOOK: Duration = Duration::from_millis(250);
/// Messages read at a time.
const READ: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    after_seq: Option<i64>,
}

pub(super) async fn stream(
    State(session): State<Arc<Session>>,
    caller: Caller,
    permit: Permit,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    permit.demand_serving()?;
    let conversation = conversation_id(&id, &caller)?;
    let after = last_event(&headers)?.or(from.after_seq).unwrap_or(0);
    let place = Arc::clone(&session.streams).try_acquire_owned();
    let place = place.map_err(|_full| refusal::overload())?;
    let mut reader = Reader {
        changes: session.changes.subscribe(),
        right: session.right.clone(),
        epoch: permit.epoch,
        session,
        caller,
        conversation,
        after,
        ticket: None,
        // Flushes the head, and tells when to come back.
        pending: VecDeque::from([Event::default().retry(RETRY).comment("open")]),
        ended: false,
        _place: place,
    };
    reader.read().await?;
    let events = unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(PING).text("ping")))
}

/// A stream's end on our side.
struct Reader {
    session: Arc<Session>,
    changes: broadcast::Receiver<Uuid>,
    right: watch::Receiver<Option<Right>>,
    epoch: Epoch,
    caller: Caller,
    conversation: Uuid,
    after: i64,
    ticket: Option<String>,
    pending: VecDeque<Event>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            // Asked after the read: what was read under a right that is over is not told.
            if !self.may_tell() {
                self.ended = true;
                return Some(Event::default().event("moved").data("{}"));
            }
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            if self.wait().await
                && let Err(failure) = self.read().await
            {
                // The client comes back and reads on from where it was.
                debug!(error = %failure, "stream ended");
                self.ended = true;
            }
        }
        None
    }

    fn may_tell(&self) -> bool {
        (*self.right.borrow())
            .is_some_and(|right| right.epoch == self.epoch && may_begin(right, BootTime::now()))
    }

    /// Waits until there may be something to read (`true`) or the right may have changed.
    async fn wait(&mut self) -> bool {
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                changed = self.changes.recv() => match changed {
                    Ok(changed) if changed == self.conversation => return true,
                    Ok(_) => {}
                    // Too much has happened to know: look.
                    Err(broadcast::error::RecvError::Lagged(_)) => return true,
                    Err(broadcast::error::RecvError::Closed) => return false,
                },
                () = &mut look => return false,
            }
        }
    }

    /// Reads what has happened since.
    async fn read(&mut self) -> Result<(), Failure> {
        let transaction = Transaction::begin(&self.session.connections, Durability::Weak).await?;
        let found = self.look(&transaction).await;
        let (ticket, messages) = transaction.end(found).await?;
        for message in messages {
            self.after = message.seq;
            let id = message.seq.to_string();
            let data = serde_json::to_string(&message).expect("a message is plain JSON");
            self.pending.push_back(Event::default().id(id).event("message.created").data(data));
        }
        if let Some(ticket) = ticket.filter(|_| self.ticket.is_none()) {
            let data = json!({ "ticket_id": ticket }).to_string();
            self.pending.push_back(Event::default().event("ticket.created").data(data));
            self.ticket = Some(ticket);
        }
        Ok(())
    }

    async fn look(
        &self,
        transaction: &Transaction,
    ) -> Result<(Option<String>, Vec<Message>), Failure> {
        let found = conversation::find(transaction, &self.caller, self.conversation).await?;
        let found = found.ok_or_else(not_found)?;
        let (slot, mut after, mut messages) = (self.caller.slot, self.after, Vec::new());
        loop {
            let more = message::list(transaction, slot, self.conversation, after, READ).await?;
            let Some(last) = more.last() else { return Ok((found.ticket_id, messages)) };
            after = last.seq;
            messages.extend(more);
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
