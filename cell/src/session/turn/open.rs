//! Takes the user's message: once, in order, and before anybody is asked anything.

use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Turn;
use crate::database::idempotency::{self, Claim, row_slot};
use crate::database::{Failure, Transaction};
use crate::gateway::{Caller, Permit, refusal};
use crate::session::Session;
use crate::session::downstream::Context;
use crate::session::message::{self, Message, NewMessage, Place};
use crate::text::Language;

/// A message that is kept.
#[derive(Debug)]
pub(in crate::session) struct Posted {
    pub turn: Turn,
    /// The reply it has already.
    pub reply: Option<Message>,
    /// Whether it was there before this request.
    pub repeated: bool,
}

/// Keeps a message, or finds the one that this request repeats.
pub(in crate::session) async fn post(
    session: &Session,
    caller: &Caller,
    permit: Permit,
    conversation: Uuid,
    new: &NewMessage,
    claim: Option<&Claim>,
) -> Result<Posted, Failure> {
    let mut transaction = session.begin(permit.strength()).await?;
    let mut outcome = keep(&transaction, caller, conversation, new, claim).await;
    if let Ok(posted) = &outcome
        && posted.repeated
    {
        let replayed = replay(session, &mut transaction, permit, posted).await;
        outcome = replayed.and(outcome);
    }
    let posted = transaction.end(outcome).await?;
    if !posted.repeated {
        session.changed(conversation);
    }
    Ok(posted)
}

/// Sees to it that what a repetition has found is as safe as it was said to be.
async fn replay(
    session: &Session,
    transaction: &mut Transaction,
    permit: Permit,
    posted: &Posted,
) -> Result<(), Failure> {
    if posted.reply.as_ref().is_some_and(Message::escalates) {
        permit.demand_strong()?;
        transaction.strengthen().await?;
    }
    permit.demand_replay(session.durability)?;
    transaction.confirm().await
}

async fn keep(
    transaction: &Transaction,
    caller: &Caller,
    conversation: Uuid,
    new: &NewMessage,
    claim: Option<&Claim>,
) -> Result<Posted, Failure> {
    let locked = lock(transaction, caller, conversation).await?.ok_or_else(refusal::not_found)?;
    let (seq, locale): (i64, Option<String>) = (locked.get(0), locked.get(1));
    let context = Context { last_article: locked.get(2), last_intent: locked.get(3) };
    let turn = |message| Turn {
        slot: caller.slot,
        user: caller.user.clone(),
        conversation,
        message,
        context,
    };
    if let Some(message) = repeated(transaction, caller, conversation, new, claim).await? {
        let reply = message::find_reply(transaction, caller.slot, message.uuid).await?;
        return Ok(Posted { turn: turn(message), reply, repeated: true });
    }
    let asked = new.locale.as_deref().or(locale.as_deref());
    let locale = asked.unwrap_or_else(|| Language::choose(&new.text, None).tag());
    let place = Place { slot: caller.slot, conversation, seq };
    let message = message::insert(transaction, place, new, locale).await?;
    let slot = row_slot(caller.slot);
    transaction
        .execute(
            "UPDATE conversations SET next_seq = next_seq + 1, last_activity_at = now()
             WHERE slot = $1 AND conversation_id = $2",
            &[&slot, &conversation],
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO open_turns (slot, message_id, conversation_id) VALUES ($1, $2, $3)",
            &[&slot, &message.uuid, &conversation],
        )
        .await?;
    if let Some(claim) = claim {
        // Message and reply never change: the answer is made of them again.
        claim.keep(transaction, 201, &json!({ "message": message.uuid })).await?;
    }
    Ok(Posted { turn: turn(message), reply: None, repeated: false })
}

async fn lock(
    transaction: &Transaction,
    caller: &Caller,
    conversation: Uuid,
) -> Result<Option<Row>, Failure> {
    transaction
        .row(
            "SELECT c.next_seq, c.locale, d.last_article, d.active_intent
             FROM conversations c LEFT JOIN dialogue_state d USING (slot, conversation_id)
             WHERE c.slot = $1 AND c.conversation_id = $2 AND c.user_id = $3 FOR UPDATE OF c",
            &[&row_slot(caller.slot), &conversation, &caller.user],
        )
        .await
}

/// Returns the message that this request sends again, by its key or by the client's own id.
async fn repeated(
    transaction: &Transaction,
    caller: &Caller,
    conversation: Uuid,
    new: &NewMessage,
    claim: Option<&Claim>,
) -> Result<Option<Message>, Failure> {
    if let Some(claim) = claim
        && let Some(stored) = claim.take(transaction).await?
    {
        let message = stored.body["message"].as_str().and_then(|id| id.parse().ok());
        let message: Uuid = message.ok_or_else(|| Failure::Refused(idempotency::mismatch()))?;
        return message::find(transaction, caller.slot, message).await;
    }
    let Some(client_message_id) = &new.client_message_id else { return Ok(None) };
    let slot = caller.slot;
    let found =
        message::find_by_client_id(transaction, slot, conversation, client_message_id).await?;
    match found {
        Some(message) if message.text != new.text => {
            let detail = "client_message_id was used for another text";
            Err(idempotency::mismatch().detail(detail).into())
        }
        found => Ok(found),
    }
}
