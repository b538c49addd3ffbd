//! Messages: what they are, and how they are kept. A message never changes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;
use topology::Slot;
use topology::public_id::{Kind, PublicId};
use uuid::Uuid;

use super::conversation;
use super::decide::turn::Trouble;
use crate::database::idempotency::row_slot;
use crate::database::{Failure, Transaction};

/// A message as it goes over the wire.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    id: String,
    conversation_id: String,
    pub seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
    author: Author,
    #[serde(rename = "type")]
    kind: String,
    pub text: String,
    #[serde(skip_serializing_if = "is_empty")]
    choices: Value,
    pub locale: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nlu: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Value>,
    degraded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded_reason: Option<String>,
    created_at: String,
    #[serde(skip)]
    pub uuid: Uuid,
}

#[derive(Clone, Debug, Serialize)]
struct Author {
    #[serde(rename = "type")]
    kind: String,
}

/// What a client sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessage {
    pub text: String,
    #[serde(default)]
    pub client_message_id: Option<String>,
    #[serde(default)]
    pub locale: Option<String>,
}

/// What the bot says.
#[derive(Debug)]
pub(super) struct NewReply {
    pub text: String,
    pub choices: Vec<Value>,
    pub locale: String,
    pub nlu: Option<Value>,
    pub source: Value,
    pub degraded: Option<Trouble>,
}

/// A message's place: the conversation, and the number it was given under the row's lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub slot: Slot,
    pub conversation: Uuid,
    pub seq: i64,
}

macro_rules! columns {
    () => {
        "message_id, conversation_id, seq, client_message_id, author, kind, text, choices, locale,
         in_reply_to, nlu, source, degraded_reason,
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    };
}

pub(super) async fn insert(
    transaction: &Transaction,
    place: Place,
    new: &NewMessage,
    locale: &str,
) -> Result<Message, Failure> {
    let row = transaction
        .row(
            concat!(
                "INSERT INTO messages (slot, conversation_id, seq, message_id, client_message_id,
                                       author, kind, text, locale)
                 VALUES ($1, $2, $3, $4, $5, 'contact', 'text', $6, $7) RETURNING ",
                columns!()
            ),
            &[
                &row_slot(place.slot),
                &place.conversation,
                &place.seq,
                &Uuid::now_v7(),
                &new.client_message_id,
                &new.text,
                &locale,
            ],
        )
        .await?;
    row.map(|row| of_row(&row, place.slot))
        .ok_or_else(|| Failure::Broken(anyhow::anyhow!("insert a message: no row")))
}

impl Message {
    /// Returns whether a ticket was promised with it, by a strong commit.
    pub(super) fn escalates(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source["escalates"] == true)
    }
}

/// Returns the reply, or `None` if the message has one already.
pub(super) async fn insert_reply(
    transaction: &Transaction,
    place: Place,
    in_reply_to: Uuid,
    new: &NewReply,
) -> Result<Option<Message>, Failure> {
    let kind = if new.choices.is_empty() { "text" } else { "choices" };
    let row = transaction
        .row(
            concat!(
                "INSERT INTO messages (slot, conversation_id, seq, message_id, author, kind, text,
                                       choices, locale, in_reply_to, nlu, source, degraded_reason)
                 VALUES ($1, $2, $3, $4, 'bot', $5, $6, $7, $8, $9, $10, $11, $12)
                 ON CONFLICT (slot, in_reply_to) WHERE author = 'bot' DO NOTHING RETURNING ",
                columns!()
            ),
            &[
                &row_slot(place.slot),
                &place.conversation,
                &place.seq,
                &Uuid::now_v7(),
                &kind,
                &new.text,
                &Value::from(new.choices.clone()),
                &new.locale,
                &in_reply_to,
                &new.nlu,
                &new.source,
                &new.degraded.map(Trouble::as_str),
            ],
        )
        .await?;
    Ok(row.map(|row| of_row(&row, place.slot)))
}

pub(super) async fn find(
    transaction: &Transaction,
    slot: Slot,
    message: Uuid,
) -> Result<Option<Message>, Failure> {
    let sql = concat!("SELECT ", columns!(), " FROM messages WHERE slot = $1 AND message_id = $2");
    let row = transaction.row(sql, &[&row_slot(slot), &message]).await?;
    Ok(row.map(|row| of_row(&row, slot)))
}

pub(super) async fn find_reply(
    transaction: &Transaction,
    slot: Slot,
    message: Uuid,
) -> Result<Option<Message>, Failure> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM messages WHERE slot = $1 AND in_reply_to = $2 AND author = 'bot'"
    );
    let row = transaction.row(sql, &[&row_slot(slot), &message]).await?;
    Ok(row.map(|row| of_row(&row, slot)))
}

/// Returns the message a client sent under this id of its own.
pub(super) async fn find_by_client_id(
    transaction: &Transaction,
    slot: Slot,
    conversation: Uuid,
    client_message_id: &str,
) -> Result<Option<Message>, Failure> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM messages WHERE slot = $1 AND conversation_id = $2 AND client_message_id = $3"
    );
    let row = transaction.row(sql, &[&row_slot(slot), &conversation, &client_message_id]).await?;
    Ok(row.map(|row| of_row(&row, slot)))
}

/// Returns what follows the message with number `after`, in order.
pub(super) async fn list(
    transaction: &Transaction,
    slot: Slot,
    conversation: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Message>, Failure> {
    let rows = transaction
        .rows(
            concat!(
                "SELECT ",
                columns!(),
                " FROM messages WHERE slot = $1 AND conversation_id = $2 AND seq > $3
                 ORDER BY seq LIMIT $4"
            ),
            &[&row_slot(slot), &conversation, &after, &limit],
        )
        .await?;
    Ok(rows.iter().map(|row| of_row(row, slot)).collect())
}

fn of_row(row: &Row, slot: Slot) -> Message {
    let public = |id: Uuid| PublicId { kind: Kind::Message, slot, id: id.as_u128() }.to_string();
    let uuid: Uuid = row.get(0);
    let degraded_reason: Option<String> = row.get(12);
    Message {
        id: public(uuid),
        conversation_id: conversation::public(slot, row.get(1)),
        seq: row.get(2),
        client_message_id: row.get(3),
        author: Author { kind: row.get(4) },
        kind: row.get(5),
        text: row.get(6),
        choices: row.get(7),
        locale: row.get(8),
        in_reply_to: row.get::<_, Option<Uuid>>(9).map(public),
        nlu: row.get(10),
        source: row.get(11),
        degraded: degraded_reason.is_some(),
        degraded_reason,
        created_at: row.get(13),
        uuid,
    }
}

fn is_empty(choices: &Value) -> bool {
    choices.as_array().is_none_or(Vec::is_empty)
}
