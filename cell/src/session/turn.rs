//! One turn: take the user's message, understand it, answer it.
//!
//! ```text
//! transaction 1: message, key, open turn ──▶ nlp ──▶ knowledge ──▶ decide
//! transaction 2: reply, dialogue state, outbox, turn closed            (strong when it escalates)
//! ```

mod open;
mod reply;

use runtime::Problem;
use serde_json::json;
use topology::Slot;
use uuid::Uuid;

use super::Session;
use super::conversation;
use super::decide::turn::{Facts, Found, Intent, Plan, decide};
use super::downstream::{Context, Parsed};
use super::message::{self, Message, Place};
use super::metrics;
use crate::database::idempotency::row_slot;
use crate::database::{Failure, Transaction};
use crate::gateway::{Caller, Strength};
use crate::text::Language;

pub(super) use open::post;

/// A message that waits for its reply.
#[derive(Debug)]
pub(super) struct Turn {
    pub slot: Slot,
    pub user: String,
    pub conversation: Uuid,
    pub message: Message,
    pub context: Context,
}

/// Answers a turn, unless somebody has meanwhile; returns the one reply it has.
pub(super) async fn answer(
    session: &Session,
    turn: &Turn,
    strength: Strength,
) -> Result<Message, Failure> {
    let text = &turn.message.text;
    let parsed = session.nlp.parse(text, &turn.message.locale).await;
    let intent = parsed.as_ref().map(|parsed| Intent::of(&parsed.intent.name)).map_err(|why| *why);
    let confidence = parsed.as_ref().map_or(0.0, |parsed| parsed.intent.confidence);
    let hits = match (&parsed, intent) {
        (Ok(parsed), Ok(intent)) if intent.is_topic() => {
            let locale = &turn.message.locale;
            session.knowledge.search(text, locale, parsed.topic(), &turn.context).await
        }
        (Ok(_) | Err(_), _) => Ok(Found::Nothing),
    };

    let mut transaction = session.begin(strength).await?;
    let state = lock(&transaction, turn).await;
    let outcome = match state {
        Ok(State { reply: Some(reply), .. }) => found(&mut transaction, reply, strength).await,
        Ok(state) => {
            let facts = Facts {
                intent,
                confidence,
                found: hits,
                fallbacks: state.fallbacks,
                escalated: state.escalated,
                at_risk: strength == Strength::AtRisk,
            };
            let plan = decide(facts);
            close(&mut transaction, turn, &state, &plan, parsed.ok(), strength).await
        }
        Err(failure) => Err(failure),
    };
    let reply = transaction.end(outcome).await?;
    session.changed(turn.conversation);
    session.posted.notify_one();
    Ok(reply)
}

/// What is known under the conversation's lock.
struct State {
    seq: i64,
    escalated: bool,
    fallbacks: i32,
    reply: Option<Message>,
}

async fn lock(transaction: &Transaction, turn: &Turn) -> Result<State, Failure> {
    let row = transaction
        .row(
            "SELECT c.next_seq, c.status = 'queued', coalesce(d.fallbacks, 0)
             FROM conversations c LEFT JOIN dialogue_state d USING (slot, conversation_id)
             WHERE c.slot = $1 AND c.conversation_id = $2 FOR UPDATE OF c",
            &[&row_slot(turn.slot), &turn.conversation],
        )
        .await?
        .ok_or_else(|| Failure::Broken(anyhow::anyhow!("lock a conversation: gone")))?;
    let reply = message::find_reply(transaction, turn.slot, turn.message.uuid).await?;
    Ok(State { seq: row.get(0), escalated: row.get(1), fallbacks: row.get(2), reply })
}

/// Returns a reply that somebody else has written. If it promises a ticket it may be on this site
/// only, and waits to be more.
async fn found(
    transaction: &mut Transaction,
    reply: Message,
    strength: Strength,
) -> Result<Message, Failure> {
    if reply.escalates() {
        strength.demand().map_err(Problem::from)?;
        transaction.strengthen().await?;
        transaction.confirm().await?;
    }
    Ok(reply)
}

/// Writes the reply and all that follows from it.
async fn close(
    transaction: &mut Transaction,
    turn: &Turn,
    state: &State,
    plan: &Plan,
    parsed: Option<Parsed>,
    strength: Strength,
) -> Result<Message, Failure> {
    if plan.is_strong() {
        strength.demand().map_err(Problem::from)?;
        transaction.strengthen().await?;
    }
    if let Some(trouble) = plan.trouble() {
        metrics::degraded(trouble);
    }
    let language = Language::choose(&turn.message.text, Some(&turn.message.locale));
    let topic = parsed.as_ref().and_then(Parsed::topic).map(ToOwned::to_owned);
    let new = reply::of(plan, language, parsed);
    let place = Place { slot: turn.slot, conversation: turn.conversation, seq: state.seq };
    let reply = message::insert_reply(transaction, place, turn.message.uuid, &new)
        .await?
        .ok_or_else(|| Failure::Broken(anyhow::anyhow!("insert a reply: it has one")))?;
    let slot = row_slot(turn.slot);
    transaction
        .execute(
            "UPDATE conversations SET next_seq = next_seq + 1, last_activity_at = now(),
                    status = CASE WHEN $3 THEN 'queued' ELSE status END
             WHERE slot = $1 AND conversation_id = $2",
            &[&slot, &turn.conversation, &plan.is_strong()],
        )
        .await?;
    let article = if let Plan::Answer(hit) = plan { Some(&hit.article) } else { None };
    transaction
        .execute(
            "INSERT INTO dialogue_state
                 (slot, conversation_id, active_intent, last_article, fallbacks)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (slot, conversation_id) DO UPDATE SET
                 active_intent = coalesce(excluded.active_intent, dialogue_state.active_intent),
                 last_article = coalesce(excluded.last_article, dialogue_state.last_article),
                 fallbacks = excluded.fallbacks, updated_at = now()",
            &[&slot, &turn.conversation, &topic, &article, &plan.fallbacks_after(state.fallbacks)],
        )
        .await?;
    transaction
        .execute(
            "DELETE FROM open_turns WHERE slot = $1 AND message_id = $2",
            &[&slot, &turn.message.uuid],
        )
        .await?;
    let caller = Caller { user: turn.user.clone(), slot: turn.slot };
    let update = json!({
        "schema": 1, "type": "turn.answered",
        "conversation_id": conversation::public(turn.slot, turn.conversation),
        "message_seq": turn.message.seq, "reply_seq": reply.seq,
        "degraded": new.degraded.is_some(),
    });
    post_out(transaction, &caller, turn.conversation, "session-updates", &update).await?;
    let escalation = match plan {
        Plan::Escalate(why) => Some((why, "ticket-requests")),
        Plan::Postpone(why) => Some((why, "escalations")),
        Plan::Say(_) | Plan::Answer(_) | Plan::Suggest(_) | Plan::Fallback | Plan::Degraded(_) => {
            None
        }
    };
    if let Some((why, topic)) = escalation {
        let request = reply::ticket_request(*why, language, turn);
        post_out(transaction, &caller, turn.conversation, topic, &request).await?;
    }
    Ok(reply)
}

/// Puts something into the outbox.
pub(super) async fn post_out(
    transaction: &Transaction,
    caller: &Caller,
    conversation: Uuid,
    topic: &str,
    payload: &serde_json::Value,
) -> Result<(), Failure> {
    transaction
        .execute(
            "INSERT INTO outbox (slot, outbox_id, topic, user_id, subject, payload)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &row_slot(caller.slot),
                &Uuid::now_v7(),
                &topic,
                &caller.user,
                &conversation,
                payload,
            ],
        )
        .await?;
    Ok(())
}
