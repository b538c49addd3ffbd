//! How tickets are kept. Every change is in a strong transaction with its line of history.

use runtime::Problem;
use tokio_postgres::Row;
use topology::Slot;
use topology::public_id::{Kind, PublicId};
use uuid::Uuid;

use super::model::{NewTicket, NewTransition, Ticket, Transition, number, public};
use super::status::Status;
use crate::database::idempotency::row_slot;
use crate::database::{Failure, Transaction};
use crate::gateway::{Actor, Caller};

macro_rules! columns {
    () => {
        "ticket_id, number, subject, description, status, priority, conversation_id, version,
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
         to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    };
}

pub(super) async fn insert(
    transaction: &Transaction,
    caller: &Caller,
    new: &NewTicket,
    conversation: Option<Uuid>,
) -> Result<Ticket, Failure> {
    let slot = row_slot(caller.slot);
    let ticket = Uuid::now_v7();
    let count = transaction
        .row(
            "INSERT INTO slot_counters (slot, counter, value) VALUES ($1, 'ticket', 1)
             ON CONFLICT (slot, counter) DO UPDATE SET value = slot_counters.value + 1
             RETURNING value",
            &[&slot],
        )
        .await?
        .ok_or_else(no_row)?;
    let row = transaction
        .row(
            concat!(
                "INSERT INTO tickets (slot, ticket_id, number, user_id, subject, description,
                                      status, priority, conversation_id)
                 VALUES ($1, $2, $3, $4, $5, $6, 'new', $7, $8) RETURNING ",
                columns!()
            ),
            &[
                &slot,
                &ticket,
                &count.get::<_, i64>(0),
                &caller.user,
                &new.subject,
                &new.description,
                &new.priority.as_str(),
                &conversation,
            ],
        )
        .await?
        .ok_or_else(no_row)?;
    let inserted = of_row(&row, caller.slot)?;
    remember(transaction, (caller.slot, &caller.user), ticket, &inserted, None, None).await?;
    Ok(inserted)
}

/// Moves a ticket on, if it is still as the client has seen it and may go there.
pub(super) async fn change(
    transaction: &Transaction,
    actor: &Actor,
    ticket: Uuid,
    seen: i64,
    new: &NewTransition,
) -> Result<Option<Ticket>, Failure> {
    let slot = row_slot(actor.slot);
    let locked = transaction
        .row(
            concat!(
                "SELECT ",
                columns!(),
                " FROM tickets WHERE slot = $1 AND ticket_id = $2
                  AND ($3::text IS NULL OR user_id = $3) FOR UPDATE"
            ),
            &[&slot, &ticket, &actor.owner()],
        )
        .await?;
    let Some(locked) = locked else { return Ok(None) };
    let before = of_row(&locked, actor.slot)?;
    if before.version != seen {
        return Err(Problem::new(412, "stale-version", "The ticket has changed meanwhile")
            .with("version", before.version)
            .into());
    }
    if !before.status.may_become(new.to) {
        let allowed: Vec<&str> = before.status.allowed().map(Status::as_str).collect();
        return Err(Problem::new(409, "illegal-transition", "The ticket cannot go there")
            .detail(format!("from {} to {}", before.status, new.to))
            .with("allowed", allowed)
            .into());
    }
    let row = transaction
        .row(
            concat!(
                "UPDATE tickets SET status = $3, version = version + 1, updated_at = now()
                 WHERE slot = $1 AND ticket_id = $2 RETURNING ",
                columns!()
            ),
            &[&slot, &ticket, &new.to.as_str()],
        )
        .await?
        .ok_or_else(no_row)?;
    let after = of_row(&row, actor.slot)?;
    remember(
        transaction,
        (actor.slot, &actor.user),
        ticket,
        &after,
        Some(before.status),
        new.reason.as_deref(),
    )
    .await?;
    Ok(Some(after))
}

async fn remember(
    transaction: &Transaction,
    (slot, actor): (Slot, &str),
    ticket: Uuid,
    after: &Ticket,
    from: Option<Status>,
    reason: Option<&str>,
) -> Result<(), Failure> {
    transaction
        .execute(
            "INSERT INTO ticket_transitions
                 (slot, ticket_id, version, from_status, to_status, actor, reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &row_slot(slot),
                &ticket,
                &after.version,
                &from.map(Status::as_str),
                &after.status.as_str(),
                &actor,
                &reason,
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn find(
    transaction: &Transaction,
    actor: &Actor,
    ticket: Uuid,
) -> Result<Option<Ticket>, Failure> {
    let row = transaction
        .row(
            concat!(
                "SELECT ",
                columns!(),
                " FROM tickets WHERE slot = $1 AND ticket_id = $2
                  AND ($3::text IS NULL OR user_id = $3)"
            ),
            &[&row_slot(actor.slot), &ticket, &actor.owner()],
        )
        .await?;
    row.map(|row| of_row(&row, actor.slot)).transpose()
}

/// Returns this user's tickets, newest first, from `before` on.
pub(super) async fn list(
    transaction: &Transaction,
    caller: &Caller,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Ticket>, Failure> {
    let rows = transaction
        .rows(
            concat!(
                "SELECT ",
                columns!(),
                " FROM tickets WHERE slot = $1 AND user_id = $2 AND ticket_id < $3
                 ORDER BY ticket_id DESC LIMIT $4"
            ),
            &[&row_slot(caller.slot), &caller.user, &before.unwrap_or(Uuid::max()), &limit],
        )
        .await?;
    rows.iter().map(|row| of_row(row, caller.slot)).collect()
}

/// Returns every change of a ticket, oldest first.
pub(super) async fn history(
    transaction: &Transaction,
    slot: Slot,
    ticket: Uuid,
) -> Result<Vec<Transition>, Failure> {
    let rows = transaction
        .rows(
            "SELECT version, from_status, to_status, actor, reason,
                    to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
             FROM ticket_transitions WHERE slot = $1 AND ticket_id = $2 ORDER BY version",
            &[&row_slot(slot), &ticket],
        )
        .await?;
    let transition = |row: &Row| Transition {
        version: row.get(0),
        from: row.get(1),
        to: row.get(2),
        actor: row.get(3),
        reason: row.get(4),
        at: row.get(5),
    };
    Ok(rows.iter().map(transition).collect())
}

fn of_row(row: &Row, slot: Slot) -> Result<Ticket, Failure> {
    let status: &str = row.get(4);
    let status = Status::named(status)
        .ok_or_else(|| Failure::Broken(anyhow::anyhow!("read a ticket: status {status}")))?;
    let conversation = row.get::<_, Option<Uuid>>(6);
    let conversation =
        conversation.map(|id| PublicId { kind: Kind::Conversation, slot, id: id.as_u128() });
    Ok(Ticket {
        id: public(slot, row.get(0)),
        number: number(slot, row.get(1)),
        subject: row.get(2),
        description: row.get(3),
        status,
        priority: row.get(5),
        conversation_id: conversation.map(|id| id.to_string()),
        version: row.get(7),
        created_at: row.get(8),
        updated_at: row.get(9),
    })
}

fn no_row() -> Failure {
    Failure::Broken(anyhow::anyhow!("write a ticket: no row"))
}
