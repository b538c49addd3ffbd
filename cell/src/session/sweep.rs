//! Finishes what a crash has left, and removes what is too old to be asked for.

use anyhow::Context as _;
use topology::Slot;
use topology::spec::Durability;
use tracing::info;
use uuid::Uuid;

use super::Session;
use super::downstream::Context;
use super::message;
use super::turn::{self, Turn};
use crate::database::{Failure, Transaction};

/// Taken at a time.
const BATCH: i64 = 32;
/// A turn this old is nobody's any more: its request has been answered or has gone.
const ABANDONED: &str = "3 seconds";
/// Clients are told that keys and events are kept for a day.
const KEPT: &str = "24 hours";
/// Rows removed at a time, so that nobody waits for a clean-up.
const PURGED: i64 = 1_000;

/// Answers the messages that were kept but never answered.
pub(super) async fn finish_turns(session: &Session) -> anyhow::Result<()> {
    let Some(right) = session.own_right() else { return Ok(()) };
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
    let turns = abandoned(&transaction).await;
    let turns = transaction.end(turns).await.context("read the open turns")?;
    let mut trouble = Ok(());
    for turn in turns {
        match turn::answer(session, &turn, right.strength()).await {
            Ok(reply) => info!(slot = %turn.slot, reply = reply.seq, "turn finished"),
            Err(failure) => {
                let turn = format!("finish the turn of {}", turn.message.uuid);
                trouble = Err(anyhow::Error::from(failure).context(turn));
            }
        }
    }
    trouble
}

async fn abandoned(transaction: &Transaction) -> Result<Vec<Turn>, Failure> {
    let rows = transaction
        .rows(
            "SELECT o.slot, o.message_id, o.conversation_id, c.user_id, d.last_article,
                    d.active_intent
             FROM open_turns o JOIN conversations c USING (slot, conversation_id)
             LEFT JOIN dialogue_state d USING (slot, conversation_id)
             WHERE o.opened_at < now() - $1::text::interval
             ORDER BY o.opened_at LIMIT $2",
            &[&ABANDONED, &BATCH],
        )
        .await?;
    let mut turns = Vec::new();
    for row in rows {
        let slot = u16::try_from(row.get::<_, i16>(0)).ok().and_then(Slot::new);
        let Some(slot) = slot else { continue };
        let message: Uuid = row.get(1);
        if let Some(message) = message::find(transaction, slot, message).await? {
            let (conversation, user) = (row.get(2), row.get(3));
            let context = Context { last_article: row.get(4), last_intent: row.get(5) };
            turns.push(Turn { slot, user, conversation, message, context });
        }
    }
    Ok(turns)
}

/// Removes idempotency keys and events past their time. Escalations stay until they are passed on.
pub(super) async fn purge(session: &Session) -> anyhow::Result<()> {
    if session.own_right().is_none() {
        return Ok(());
    }
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
    let outcome = remove_old(&transaction).await;
    transaction.end(outcome).await.context("remove what is old")
}

async fn remove_old(transaction: &Transaction) -> Result<(), Failure> {
    transaction
        .execute(
            "DELETE FROM idempotency_keys WHERE (slot, user_id, key) IN
                 (SELECT slot, user_id, key FROM idempotency_keys
                  WHERE created_at < now() - $1::text::interval LIMIT $2)",
            &[&KEPT, &PURGED],
        )
        .await?;
    transaction
        .execute(
            "DELETE FROM outbox WHERE (slot, outbox_id) IN
                 (SELECT slot, outbox_id FROM outbox
                  WHERE created_at < now() - $1::text::interval
                    AND (published_at IS NOT NULL OR topic = 'session-updates') LIMIT $2)",
            &[&KEPT, &PURGED],
        )
        .await?;
    Ok(())
}
