//! What happens in a conversation, as it happens: read here, and told by `events` and `socket` in
//! their own ways.
//!
//! A client that comes back with the last number it saw misses nothing: the stream is read from
//! the database, and what happens in between only wakes it up.
//!
//! Messages may be lost with a site, and their numbers are given again. A number that is beyond the
//! conversation's last one is of what was lost: its client is told whatever comes after the last that is
//! there. Once others have been given the numbers up to it, nothing tells it from one that is not lost, and
//! those others are not told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use runtime::clock::BootTime;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use topology::Epoch;
use topology::spec::Durability;
use tracing::debug;
use uuid::Uuid;

use super::conversation_id;
use crate::database::{Failure, Transaction};
use crate::gateway::decide::admit::may_begin;
use crate::gateway::refusal::{self, not_found};
use crate::gateway::{Actor, Permit, Right};
use crate::session::message::Message;
use crate::session::{Session, conversation, message};

/// Between two signs of life, so that nobody on the way takes the stream for dead.
pub(super) const PING: Duration = Duration::from_secs(15);
/// How often an unchanged right is looked at: it runs out by itself.
const LOOK: Duration = Duration::from_millis(250);
/// Messages read at a time, and kept until they are told.
const READ: u16 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    pub(super) after_seq: Option<i64>,
}

/// What a stream tells.
#[derive(Debug)]
pub(super) enum Told {
    Message(Box<Message>),
    Ticket(String),
    /// The stream ends, and goes on where the cell is served now, after this number.
    Moved(i64),
}

/// A stream's end on our side.
pub(super) struct Reader {
    session: Arc<Session>,
    changes: broadcast::Receiver<Uuid>,
    right: watch::Receiver<Option<Right>>,
    epoch: Epoch,
    actor: Actor,
    conversation: Uuid,
    /// The last message read, and the last one told.
    read: i64,
    told: i64,
    /// There may be something that has not been read.
    behind: bool,
    ticket: Option<String>,
    pending: VecDeque<Told>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// Begins after a message; refuses where there is no such conversation, no right, or no room.
    pub(super) async fn open(
        session: Arc<Session>,
        actor: Actor,
        permit: Permit,
        id: &str,
        after: i64,
    ) -> Result<Self, Failure> {
        permit.demand_serving()?;
        let conversation = conversation_id(id, actor.slot)?;
        let place = Arc::clone(&session.streams).try_acquire_owned();
        let mut reader = Self {
            _place: place.map_err(|_full| refusal::overload())?,
            changes: session.changes.subscribe(),
            right: session.right.clone(),
            epoch: permit.epoch,
            session,
            actor,
            conversation,
            read: after,
            told: after,
            behind: true,
            ticket: None,
            pending: VecDeque::new(),
            ended: false,
        };
        reader.catch_up().await?;
        Ok(reader)
    }

    /// Returns what is to be told next; none when the stream has ended. May be dropped while it
    /// waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Told> {
        while !self.ended {
            // Asked after the read: what was read under a right that is over is not told.
            if !self.may_tell() {
                self.ended = true;
                return Some(Told::Moved(self.told));
            }
            if let Some(told) = self.pending.pop_front() {
                if let Told::Message(message) = &told {
                    self.told = message.seq;
                }
                return Some(told);
            }
            if !self.behind {
                self.behind = self.wait().await;
            }
            if self.behind
                && let Err(failure) = self.catch_up().await
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

    /// Reads what has happened since, as far as there is room to keep it.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        let transaction = Transaction::begin(&self.session.connections, Durability::Weak).await?;
        let found = self.look(&transaction).await;
        let (last, ticket, messages) = transaction.end(found).await?;
        self.read = self.read.min(last);
        self.told = self.told.min(last);
        self.behind = messages.len() == usize::from(READ);
        for message in messages {
            self.read = message.seq;
            self.pending.push_back(Told::Message(Box::new(message)));
        }
        if let Some(ticket) = ticket.filter(|_| self.ticket.is_none() && !self.behind) {
            self.pending.push_back(Told::Ticket(ticket.clone()));
            self.ticket = Some(ticket);
        }
        Ok(())
    }

    async fn look(
        &self,
        transaction: &Transaction,
    ) -> Result<(i64, Option<String>, Vec<Message>), Failure> {
        let found = conversation::find(transaction, &self.actor, self.conversation).await?;
        let found = found.ok_or_else(not_found)?;
        let slot = self.actor.slot;
        let messages =
            message::list(transaction, slot, self.conversation, self.read, READ.into()).await?;
        Ok((found.last_seq, found.ticket_id, messages))
    }
}
