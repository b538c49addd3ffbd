//! The states of a ticket, and which may follow which.
//!
//! ```text
//! new ──▶ open ◀──▶ pending          a contact is asked
//!          │ ▲  ◀──▶ on_hold         a third party is asked
//!          ▼ │
//!        solved ──▶ closed           and cancelled, from anywhere before solved
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    New,
    Open,
    /// Waits for the contact.
    Pending,
    /// Waits for somebody else.
    OnHold,
    /// Done, unless the contact comes back.
    Solved,
    Closed,
    /// A duplicate or a mistake.
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::New,
        Self::Open,
        Self::Pending,
        Self::OnHold,
        Self::Solved,
        Self::Closed,
        Self::Cancelled,
    ];

    /// Returns whether a ticket may go from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (
                Self::New,
                Self::Open | Self::Pending | Self::OnHold | Self::Solved | Self::Cancelled,
            )
            | (Self::Open, Self::Pending | Self::OnHold | Self::Solved | Self::Cancelled)
            | (Self::Pending, Self::Open | Self::OnHold | Self::Solved | Self::Cancelled)
            | (Self::OnHold, Self::Open | Self::Pending | Self::Solved | Self::Cancelled)
            | (Self::Solved, Self::Open | Self::Closed) => true,
            (Self::New, Self::New | Self::Closed)
            | (Self::Open, Self::New | Self::Open | Self::Closed)
            | (Self::Pending, Self::New | Self::Pending | Self::Closed)
            | (Self::OnHold, Self::New | Self::OnHold | Self::Closed)
            | (
                Self::Solved,
                Self::New | Self::Pending | Self::OnHold | Self::Solved | Self::Cancelled,
            )
            | (
                Self::Closed | Self::Cancelled,
                Self::New
                | Self::Open
                | Self::Pending
                | Self::OnHold
                | Self::Solved
                | Self::Closed
                | Self::Cancelled,
            ) => false,
        }
    }

    /// Returns the states that may follow.
    pub fn allowed(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |next| self.may_become(*next))
    }

    /// Returns the state with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::Pending => "pending",
            Self::OnHold => "on_hold",
            Self::Solved => "solved",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole machine on one screen. Change it here first.
    const TABLE: &str = "
          | new | open | pending | on_hold | solved | closed | cancelled
new       | -   | yes  | yes     | yes     | yes    | -      | yes
open      | -   | -    | yes     | yes     | yes    | -      | yes
pending   | -   | yes  | -       | yes     | yes    | -      | yes
on_hold   | -   | yes  | yes     | -       | yes    | -      | yes
solved    | -   | yes  | -       | -       | -      | yes    | -
closed    | -   | -    | -       | -       | -      | -      | -
cancelled | -   | -    | -       | -       | -      | -      | -
";

    #[test]
    fn the_machine_is_the_table() {
        let rows: Vec<&str> = TABLE.trim_matches('\n').lines().skip(1).collect();
        assert_eq!(rows.len(), Status::ALL.len());
        for (from, row) in Status::ALL.into_iter().zip(rows) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(cells[0], from.as_str());
            for (to, expected) in Status::ALL.into_iter().zip(&cells[1..]) {
                let told = if from.may_become(to) { "yes" } else { "-" };
                assert_eq!(told, *expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_state_reads_as_it_prints() {
        for status in Status::ALL {
            assert_eq!(Status::named(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
