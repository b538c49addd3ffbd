//! Tickets as their users see them, and what they may send.

use serde::{Deserialize, Serialize};
use topology::Slot;
use topology::public_id::{Kind, PublicId};
use uuid::Uuid;

use super::status::Status;

#[derive(Debug, Serialize)]
pub(super) struct Ticket {
    pub id: String,
    /// For people: `T-` slot `-` number within the slot.
    pub number: String,
    pub subject: String,
    pub description: String,
    pub status: Status,
    pub priority: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Also the `ETag`; a transition names the version it was decided on.
    pub version: i64,
    pub created_at: String,
    pub updated_at: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Transition {
    pub version: i64,
    /// `None` for the ticket's creation.
    pub from: Option<String>,
    pub to: String,
    pub actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub at: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

impl Priority {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTicket {
    pub subject: String,
    pub description: String,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default)]
    pub conversation_id: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTransition {
    pub to: Status,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Returns the public id of a ticket.
pub(super) fn public(slot: Slot, ticket: Uuid) -> String {
    PublicId { kind: Kind::Ticket, slot, id: ticket.as_u128() }.to_string()
}

/// Returns a ticket's number for people; the slot in base 36.
pub(super) fn number(slot: Slot, count: i64) -> String {
    let mut rest = u32::from(slot.number());
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(rest % 36, 36).expect("below 36").to_ascii_uppercase());
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    let slot: String = digits.into_iter().rev().collect();
    format!("T-{slot}-{count}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_short_enough_to_say() {
        assert_eq!(number(Slot::new(0).unwrap(), 1), "T-0-1");
        assert_eq!(number(Slot::new(16_383).unwrap(), 12), "T-CN3-12");
    }
}
