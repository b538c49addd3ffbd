//! How the site sees its right to serve.
//!
//! ```text
//!            Granted                 DrainAsked
//! Standby ────────────▶ Serving ────────────────▶ Draining
//!    ▲  ▲                  │                         │ │
//!    │  └── Superseded ──┐ │ Lapsed           Lapsed │ │ Drained
//!    │                   Fenced ◀────────────────────┘ │
//!    └─────────────────────────────────────────────────┘
//! ```

use topology::wire::agent::TenureName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tenure {
    /// Somebody else serves, or nobody.
    Standby,
    /// This site serves, as long as its right lasts.
    Serving,
    /// Takes nothing new and finishes what there is.
    Draining,
    /// The right ran out before somebody else was known to have it: nothing may be acknowledged.
    Fenced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The database is the epoch's primary, and the lease is held.
    Granted,
    /// A planned move asks for the site.
    DrainAsked,
    /// Nothing is in flight, or PostgreSQL has written its last checkpoint.
    Drained,
    /// Neither the lease nor enough promises last any longer.
    Lapsed,
    /// A later epoch is known in which this site does not serve.
    Superseded,
}

impl Tenure {
    /// Returns the tenure that follows, or `None` where `event` makes no sense.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Standby | Self::Fenced, Event::Granted) => Some(Self::Serving),
            (Self::Serving, Event::DrainAsked) => Some(Self::Draining),
            (Self::Draining, Event::Drained) => Some(Self::Standby),
            (Self::Serving | Self::Draining, Event::Lapsed) => Some(Self::Fenced),
            (Self::Serving | Self::Draining | Self::Fenced, Event::Superseded) => {
                Some(Self::Standby)
            }
            (
                Self::Standby,
                Event::DrainAsked | Event::Drained | Event::Lapsed | Event::Superseded,
            )
            | (Self::Serving, Event::Granted | Event::Drained)
            | (Self::Draining, Event::Granted | Event::DrainAsked)
            | (Self::Fenced, Event::DrainAsked | Event::Drained | Event::Lapsed) => None,
        }
    }
}

impl From<Tenure> for TenureName {
    fn from(tenure: Tenure) -> Self {
        match tenure {
            Tenure::Standby => Self::Standby,
            Tenure::Serving => Self::Serving,
            Tenure::Draining => Self::Draining,
            Tenure::Fenced => Self::Fenced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole machine on one screen. Change it here first.
    const TABLE: &str = "
         | Granted | DrainAsked | Drained | Lapsed | Superseded
Standby  | Serving | -          | -       | -      | -
Serving  | -       | Draining   | -       | Fenced | Standby
Draining | -       | -          | Standby | Fenced | Standby
Fenced   | Serving | -          | -       | -      | Standby
";

    #[test]
    fn the_machine_is_the_table() {
        let events =
            [Event::Granted, Event::DrainAsked, Event::Drained, Event::Lapsed, Event::Superseded];
        let tenures = [Tenure::Standby, Tenure::Serving, Tenure::Draining, Tenure::Fenced];
        let rows: Vec<&str> = TABLE.trim_matches('\n').lines().skip(1).collect();
        for (tenure, row) in tenures.into_iter().zip(rows) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(cells[0], format!("{tenure:?}"));
            for (event, expected) in events.into_iter().zip(&cells[1..]) {
                let after = tenure.after(event).map_or("-".to_owned(), |t| format!("{t:?}"));
                assert_eq!(after, *expected, "{tenure:?} after {event:?}");
            }
        }
    }
}
