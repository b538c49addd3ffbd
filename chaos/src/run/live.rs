//! What a person wants to read while the fault is on: who moves where, and who is served again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topology::{CellId, RegionId};

use crate::fault::Injection;
use crate::history::{Event, Operation, User};
use crate::metrics::first_success;

/// A pause this short is none.
const UNNOTICED: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(super) struct Live {
    events_told: usize,
    active: BTreeMap<CellId, RegionId>,
    served_again: BTreeSet<CellId>,
}

impl Live {
    /// Returns what is new since the last time.
    pub(super) fn lines(
        &mut self,
        injection: &Injection,
        users: &[User],
        operations: &[Operation],
        events: &[Event],
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let begun = injection.begun;
        for (cell, region) in &injection.cells {
            if let Some(region) = region {
                self.active.entry(cell.clone()).or_insert_with(|| region.clone());
            }
        }
        for event in events.iter().skip(self.events_told).filter(|event| event.at >= begun) {
            let since = event.at.saturating_sub(begun).as_secs_f64();
            lines.push(format!("+{since:.2}s {}", self.event(event)));
        }
        self.events_told = events.len();
        for cell in injection.cells.keys() {
            if self.served_again.contains(cell) {
                continue;
            }
            let of_cell: Vec<&Operation> =
                operations.iter().filter(|op| users[op.user].cell == *cell).collect();
            let Some(at) = first_success(&of_cell, injection.ended) else { continue };
            let after = at.saturating_sub(begun);
            if after > UNNOTICED {
                let after = after.as_secs_f64();
                lines.push(format!("users of {cell} served again after {after:.1} s"));
            }
            self.served_again.insert(cell.clone());
        }
        lines
    }

    fn event(&mut self, event: &Event) -> String {
        let (cell, epoch) = (&event.cell, event.epoch);
        let Some(region) = event.region.as_ref().filter(|_| event.name == "steady") else {
            let region = event.region.as_ref().map_or_else(String::new, |at| format!(" {at}"));
            let evidence = if event.evidence.is_empty() { &event.reason } else { &event.evidence };
            return format!("{cell} {}{region} (epoch {epoch}) {evidence}", event.name)
                .trim_end()
                .to_owned();
        };
        match self.active.insert(cell.clone(), region.clone()) {
            Some(from) if from != *region => format!("{cell} {from} → {region} (epoch {epoch})"),
            Some(_) | None => format!("{cell} steady in {region} (epoch {epoch})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use topology::Epoch;

    use super::*;
    use crate::history::fixture::{ms, refused, ticket, users};

    #[test]
    fn a_move_and_the_first_user_served_again_are_told_once() {
        let injection = Injection {
            begun: ms(1000),
            ended: ms(1010),
            cells: [("c1".parse().unwrap(), Some("east".parse().unwrap()))].into(),
            ..Injection::default()
        };
        let steady = Event {
            at: ms(3310),
            name: "steady".to_owned(),
            cell: "c1".parse().unwrap(),
            region: Some("south".parse().unwrap()),
            epoch: Epoch(9),
            reason: String::new(),
            evidence: String::new(),
        };
        let lost = Event { name: "lease-lost".to_owned(), at: ms(3000), ..steady.clone() };
        let lost = Event { region: None, evidence: "2.0 s old".to_owned(), ..lost };
        let operations = [refused(0, 1100, 1101), ticket(1, 1200, 3600)];
        let mut live = Live::default();
        assert_eq!(
            live.lines(&injection, &users(), &operations[..1], &[lost.clone(), steady.clone()]),
            ["+2.00s c1 lease-lost (epoch 9) 2.0 s old", "+2.31s c1 east → south (epoch 9)"]
        );
        let events = [lost, steady];
        assert_eq!(
            live.lines(&injection, &users(), &operations, &events),
            ["users of c1 served again after 2.6 s"]
        );
        assert_eq!(live.lines(&injection, &users(), &operations, &events), Vec::<String>::new());
    }
}
