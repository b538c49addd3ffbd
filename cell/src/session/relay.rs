//! Passes escalations on to the ticket service: at least once, which its idempotency makes once.
//!
//! Those that were kept while too few voters were there become promises first: strongly, and one
//! per conversation.

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
use super::turn::post_out;
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

/// Empties the outbox of escalations and ticket requests; what fails is left for the next time.
pub(super) async fn pass_on(session: &Session) -> anyhow::Result<()> {
    let right = session.own_right().filter(|right| right.strength().demand().is_ok());
    let Some(right) = right else { return Ok(()) };
    let mut trouble = Ok(());
    for postponed in waiting(session, "escalations").await.context("read the outbox")? {
        if let Err(failure) = promise(session, &postponed).await {
            let escalation = format!("promise a ticket for {}", postponed.outbox);
            trouble = Err(anyhow::Error::from(failure).context(escalation));
        }
    }
    for waiting in waiting(session, "ticket-requests").await.context("read the outbox")? {
        if let Err(err) = open_ticket(session, right, &waiting).await {
            trouble = Err(err.context(format!("open a ticket for {}", waiting.outbox)));
        }
    }
    trouble
}

async fn waiting(session: &Session, topic: &str) -> Result<Vec<Waiting>, Failure> {
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
    let rows = transaction
        .rows(
            "SELECT slot, user_id, outbox_id, subject, payload FROM outbox
             WHERE topic = $1 AND published_at IS NULL
             ORDER BY outbox_id LIMIT $2",
            &[&topic, &BATCH],
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

/// Turns what was postponed into a ticket request, unless people know of the conversation by now.
async fn promise(session: &Session, postponed: &Waiting) -> Result<(), Failure> {
    let transaction = Transaction::begin(&session.connections, Durability::Strong).await?;
    let outcome = queue(&transaction, postponed).await;
    transaction.end(outcome).await?;
    session.changed(postponed.conversation);
    Ok(())
}

async fn queue(transaction: &Transaction, postponed: &Waiting) -> Result<(), Failure> {
    let slot = row_slot(postponed.caller.slot);
    let queued = transaction
        .execute(
            "UPDATE conversations SET status = 'queued'
             WHERE slot = $1 AND conversation_id = $2 AND status <> 'queued'",
            &[&slot, &postponed.conversation],
        )
        .await?;
    if queued == 1 {
        let topic = "ticket-requests";
        let caller = &postponed.caller;
        post_out(transaction, caller, postponed.conversation, topic, &postponed.request).await?;
    }
    transaction
        .execute(
            "UPDATE outbox SET published_at = now() WHERE slot = $1 AND outbox_id = $2",
            &[&slot, &postponed.outbox],
        )
        .await?;
    Ok(())
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
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
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
