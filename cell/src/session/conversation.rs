//! Conversations: what they are, and how they are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use topology::Slot;
use topology::public_id::{Kind, PublicId};
use uuid::Uuid;

use crate::database::idempotency::row_slot;
use crate::database::{Failure, Transaction};
use crate::gateway::{Actor, Caller};

/// A conversation as its user sees it.
#[derive(Debug, Serialize)]
pub(super) struct Conversation {
    pub id: String,
    channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    metadata: Value,
    status: String,
    /// The number of its last message; 0 without any.
    pub last_seq: i64,
    /// Once people have been asked to help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_id: Option<String>,
    created_at: String,
    last_activity_at: String,
}

/// What a new conversation may be given.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewConversation {
    #[serde(default)]
    pub channel: Option<String>,
    #[serde(default)]
    pub locale: Option<String>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

macro_rules! columns {
    () => {
        "conversation_id, channel, locale, metadata, status, next_seq - 1, ticket_id,
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
         to_char(last_activity_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    };
}

pub(super) async fn insert(
    transaction: &Transaction,
    caller: &Caller,
    new: &NewConversation,
) -> Result<Conversation, Failure> {
    let row = transaction
        .row(
            concat!(
                "INSERT INTO conversations
                     (slot, conversation_id, user_id, channel, locale, metadata)
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
                columns!()
            ),
            &[
                &row_slot(caller.slot),
                &Uuid::now_v7(),
                &caller.user,
                &new.channel.as_deref().unwrap_or("api"),
                &new.locale,
                &Value::Object(new.metadata.clone()),
            ],
        )
        .await?;
    row.map(|row| of_row(&row, caller.slot))
        .ok_or_else(|| Failure::Broken(anyhow::anyhow!("insert a conversation: no row")))
}

/// Returns a conversation, if it is one that this user or agent may see.
pub(super) async fn find(
    transaction: &Transaction,
    actor: &Actor,
    conversation: Uuid,
) -> Result<Option<Conversation>, Failure> {
    let row = transaction
        .row(
            concat!(
                "SELECT ",
                columns!(),
                " FROM conversations WHERE slot = $1 AND conversation_id = $2
                  AND ($3::text IS NULL OR user_id = $3)"
            ),
            &[&row_slot(actor.slot), &conversation, &actor.owner()],
        )
        .await?;
    Ok(row.map(|row| of_row(&row, actor.slot)))
}

/// Returns this user's conversations, newest first, from `before` on.
pub(super) async fn list(
    transaction: &Transaction,
    caller: &Caller,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Conversation>, Failure> {
    let rows = transaction
        .rows(
            concat!(
                "SELECT ",
                columns!(),
                " FROM conversations
                 WHERE slot = $1 AND user_id = $2 AND conversation_id < $3
                 ORDER BY conversation_id DESC LIMIT $4"
            ),
            &[&row_slot(caller.slot), &caller.user, &before.unwrap_or(Uuid::max()), &limit],
        )
        .await?;
    Ok(rows.iter().map(|row| of_row(row, caller.slot)).collect())
}

/// Returns the public id of a conversation.
pub(super) fn public(slot: Slot, conversation: Uuid) -> String {
    PublicId { kind: Kind::Conversation, slot, id: conversation.as_u128() }.to_string()
}

fn of_row(row: &Row, slot: Slot) -> Conversation {
    let ticket = row.get::<_, Option<Uuid>>(6);
    let ticket = ticket.map(|id| PublicId { kind: Kind::Ticket, slot, id: id.as_u128() });
    Conversation {
        id: public(slot, row.get(0)),
        channel: row.get(1),
        locale: row.get(2),
        metadata: row.get(3),
        status: row.get(4),
        last_seq: row.get(5),
        ticket_id: ticket.map(|ticket| ticket.to_string()),
        created_at: row.get(7),
        last_activity_at: row.get(8),
    }
}
