//! Where the time went between the fault and the first user served again.

use std::time::Duration;

use topology::{CellId, Epoch};

use super::document::{Reached, Stage, Stages};
use crate::course::Course;
use crate::metrics::first_success;

/// Returns, per cell that was hit, when each stage was reached; only those that were. Of what is
/// repeated there is no one way back.
pub(super) fn stages(course: &Course) -> Vec<Stages> {
    let Some(fault) = course.fault().filter(|_| !course.is_repeated) else { return Vec::new() };
    let mut all = Vec::new();
    for cell in fault.cells.keys() {
        let event = |names: &[&str]| {
            let mut events = course.events.iter();
            let found = events.find(|event| {
                event.cell == *cell
                    && event.at >= fault.begun
                    && names.contains(&event.name.as_str())
            });
            found.map(|event| event.at)
        };
        let of_cell: Vec<_> =
            course.operations.iter().filter(|op| course.cell_of(op) == cell).collect();
        let before = course.before.get(cell).map(|tally| tally.epoch);
        let times = [
            (Stage::Detect, event(&["lease-lost", "site-down", "switching"])),
            (Stage::Fence, event(&["electing"])),
            (Stage::Promote, event(&["promoting"])),
            (Stage::Publish, event(&["steady"])),
            (Stage::RouterApplied, before.and_then(|epoch| first_later(course, cell, epoch))),
            (Stage::FirstSuccess, first_success(&of_cell, fault.ended)),
        ];
        let reached = times.into_iter().filter_map(|(stage, at)| {
            let after = at?.saturating_sub(fault.begun).as_secs_f64();
            Some(Reached { stage, after: (after * 1000.0).round() / 1000.0 })
        });
        all.push(Stages { cell: cell.to_string(), reached: reached.collect() });
    }
    all
}

/// Returns when somebody first had an answer under a later epoch.
fn first_later(course: &Course, cell: &CellId, epoch: Epoch) -> Option<Duration> {
    let of_cell = course.operations.iter().filter(|op| course.cell_of(op) == cell);
    let later = of_cell.filter(|op| op.served.as_ref().is_some_and(|s| s.epoch > epoch));
    later.map(|operation| operation.ended).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::Tally;
    use crate::fault::Injection;
    use crate::history::fixture::{ms, served, ticket, users};
    use crate::history::{Event, Operation};

    #[test]
    fn a_failover_is_told_stage_by_stage() {
        let cell: CellId = "c1".parse().unwrap();
        let event = |name: &str, at| Event {
            at: ms(at),
            name: name.to_owned(),
            cell: cell.clone(),
            region: None,
            epoch: Epoch(2),
            reason: String::new(),
            evidence: String::new(),
        };
        let mut injection = Injection { begun: ms(1000), ended: ms(1010), ..Injection::default() };
        injection.cells.insert(cell.clone(), None);
        let late = Operation { served: Some(served("south", 2)), ..ticket(1, 1500, 3700) };
        let course = Course {
            users: users(),
            operations: vec![ticket(0, 500, 505), late],
            events: vec![
                event("steady", 200),
                event("lease-lost", 3000),
                event("electing", 3010),
                event("promoting", 3300),
                event("steady", 3650),
            ],
            injections: vec![injection],
            before: [(cell, Tally { epoch: Epoch(1), rebuilt: 0 })].into(),
            ..Course::default()
        };
        let told: Vec<(Stage, f64)> = stages(&course)[0]
            .reached
            .iter()
            .map(|reached| (reached.stage, reached.after))
            .collect();
        assert_eq!(
            told,
            [
                (Stage::Detect, 2.0),
                (Stage::Fence, 2.01),
                (Stage::Promote, 2.3),
                (Stage::Publish, 2.65),
                (Stage::RouterApplied, 2.7),
                (Stage::FirstSuccess, 2.7),
            ]
        );
    }
}
