//! Passes escalations on to the ticket service: at least once, which its idempotency makes once.

use std::time::Duration;

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Row;
use topology::Slot;
use topology::public_id::PublicId;
use topology::spec::Durability;
use topology::wire::header;
use uuid::Uuid;

use super::Session;
use crate::database::idempotency::row_slot;
use crate::database::{Failure, Transaction};
use crate::gateway::{Caller, Right, caller};

/// Taken from the outbox at a time.
const BATCH: i64 = 32;
/// Longer than the ticket service's strong commit may take.
const TIME: Duration = Duration::from_secs(9);

/// An escalation nobody has confirmed yet.
struct Waiting {
    caller: Caller,
    outbox: Uuid,
    conversation: Uuid,
    request: Value,
}

#[derive(Deserialize)]
struct Opened {
    id: String,
}

/// Empties the outbox of ticket requests; what fails is left for the next time.
pub(super) async fn pass_on(session: &Session) -> anyhow::Result<()> {
    let Some(right) = session.own_right() else { return Ok(()) };
    let mut trouble = Ok(());
    for waiting in waiting(session).await.context("read the outbox")? {
        if let Err(err) = open_ticket(session, right, &waiting).await {
            trouble = Err(err.context(format!("open a ticket for {}", waiting.outbox)));
        }
    }
    trouble
}

async fn waiting(session: &Session) -> Result<Vec<Waiting>, Failure> {
    let transaction = Transaction::begin(&session.pool, Durability::Weak).await?;
    let rows = transaction
        .rows(
            "SELECT slot, user_id, outbox_id, subject, payload FROM outbox
             WHERE topic = 'ticket-requests' AND published_at IS NULL
             ORDER BY outbox_id LIMIT $1",
            &[&BATCH],
        )
        .await;
    let rows = transaction.end(rows).await?;
    Ok(rows.iter().filter_map(of_row).collect())
}

fn of_row(row: &Row) -> Option<Waiting> {
    let slot = u16::try_from(row.get::<_, i16>(0)).ok().and_then(Slot::new)?;
    Some(Waiting {
        caller: Caller { user: row.get(1), slot },
        outbox: row.get(2),
        conversation: row.get(3),
        request: row.get(4),
    })
}

async fn open_ticket(session: &Session, right: Right, waiting: &Waiting) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    caller::write(&mut headers, &waiting.caller, &session.site.cell, right.epoch);
    let key = HeaderValue::try_from(waiting.outbox.to_string()).context("name the request")?;
    headers.insert(HeaderName::from_static(header::IDEMPOTENCY_KEY), key);
    let url = format!("http://{}/v1/tickets", session.ticket);
    let body = serde_json::to_vec(&waiting.request).context("write the request")?;
    let answer = session.http.call(Method::POST, &url, headers, body, TIME).await?;
    let opened: Opened = answer.json(&url)?;
    let ticket: PublicId = opened.id.parse().context("read the ticket's id")?;
    let transaction = Transaction::begin(&session.pool, Durability::Weak).await?;
    let outcome = confirm(&transaction, waiting, Uuid::from_u128(ticket.id)).await;
    transaction.end(outcome).await?;
    session.changed(waiting.conversation);
    Ok(())
}

async fn confirm(
    transaction: &Transaction,
    waiting: &Waiting,
    ticket: Uuid,
) -> Result<(), Failure> {
    let slot = row_slot(waiting.caller.slot);
    transaction
        .execute(
            "UPDATE conversations SET ticket_id = $3 WHERE slot = $1 AND conversation_id = $2",
            &[&slot, &waiting.conversation, &ticket],
        )
        .await?;
    transaction
        .execute(
            "UPDATE outbox SET published_at = now() WHERE slot = $1 AND outbox_id = $2",
            &[&slot, &waiting.outbox],
        )
        .await?;
    Ok(())
}
