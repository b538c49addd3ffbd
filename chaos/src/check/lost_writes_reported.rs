//! What was acknowledged and is lost is in the platform's own report of what was lost, and what that
//! says is lost is not there.

use std::collections::BTreeSet;

use super::{Finding, lost_weak};
use crate::course::{Course, DatabaseRead, LostRow, LostWritesRead, Seen};
use crate::history::{Kind, Operation};

pub(super) fn check(course: &Course) -> Finding {
    let Some(lost) = lost(course) else {
        let why = "it is not known of every acknowledged write whether it is there";
        return Finding::Unknown(vec![why.to_owned()]);
    };
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    let numbers: BTreeSet<u32> = lost.iter().map(|operation| operation.number).collect();
    let cells: BTreeSet<_> = course.users.iter().map(|user| &user.cell).collect();
    for cell in cells {
        let (rows, gaps) = match course.final_state.lost_writes.get(cell) {
            Some(LostWritesRead::Reported { rows, gaps }) => (rows, gaps),
            Some(LostWritesRead::Unread(why)) => {
                missing.push(format!("not measured: lost writes of {cell}: {why}"));
                continue;
            }
            None => {
                missing.push(format!("not measured: nobody asked for the lost writes of {cell}"));
                continue;
            }
        };
        let reported: BTreeSet<u32> = rows.iter().map(|row| row.number).collect();
        let of_cell = |operation: &&&Operation| course.cell_of(operation) == cell;
        for operation in lost.iter().filter(of_cell) {
            if reported.contains(&operation.number) {
                continue;
            }
            let told = format!("{} is lost, and no report says so", told(operation));
            match gaps.first() {
                Some(gap) => missing.push(format!("{told}; but {gap}")),
                None => broken.push(told),
            }
        }
        let acknowledged = course
            .operations
            .iter()
            .filter(|op| op.is_ok())
            .filter(|op| course.cell_of(op) == cell && !numbers.contains(&op.number));
        for operation in acknowledged {
            if rows.iter().any(|row| is_same_write(row, operation)) {
                broken.push(format!("{} is reported as lost, and is there", told(operation)));
            }
        }
    }
    Finding::from_evidence(broken, missing)
}

/// Returns the acknowledged writes that are gone; `None` while that is not known of every one.
fn lost(course: &Course) -> Option<Vec<&Operation>> {
    let mut lost = lost_weak(course)?;
    let state = &course.final_state;
    for operation in course.operations.iter().filter(|op| op.kind == Kind::Ticket && op.is_ok()) {
        let mut is_lost = match state.through_router.get(&operation.number)? {
            Seen::There => false,
            Seen::Missing => true,
            Seen::Unread(_) => return None,
        };
        let cell = course.cell_of(operation);
        for (_, read) in state.databases.iter().filter(|(site, _)| site.cell == *cell) {
            if let DatabaseRead::Tickets(rows) = read {
                is_lost |= !rows.contains_key(&operation.number);
            }
        }
        if is_lost {
            lost.push(operation);
        }
    }
    Some(lost)
}

/// A request that was sent on to a successor has left a row with each of them: only what one site
/// acknowledged is the write that this site lost.
fn is_same_write(row: &LostRow, operation: &Operation) -> bool {
    row.number == operation.number
        && operation
            .served
            .as_ref()
            .is_some_and(|served| served.region == row.region && served.epoch <= row.epoch)
}

fn told(operation: &Operation) -> String {
    let served = operation.served.as_ref().map_or_else(String::new, |served| {
        format!(" by {}@{} under epoch {}", served.cell, served.region, served.epoch)
    });
    let (kind, number) = (operation.kind.name(), operation.number);
    format!("{kind} {number}, acknowledged{served} at {:.3} s,", operation.ended.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use topology::{CellId, Epoch};

    use super::*;
    use crate::course::ConversationRead;
    use crate::history::fixture::{message, served, ticket, users};

    fn row(number: u32, region: &str, epoch: u64) -> LostRow {
        LostRow { number, region: region.parse().unwrap(), epoch: Epoch(epoch) }
    }

    fn cell(id: &str) -> CellId {
        id.parse().unwrap()
    }

    /// Of three messages to east under epoch 1 the last is gone, and reported; a ticket is there.
    fn whole() -> Course {
        let operations = vec![
            message(0, 0, 5, 1),
            message(1, 10, 15, 2),
            message(2, 20, 25, 3),
            ticket(3, 30, 40),
        ];
        let mut course = Course { users: users(), operations, ..Course::default() };
        let state = &mut course.final_state;
        state.conversations.insert(0, ConversationRead::Messages(vec![(1, 0), (2, 1)]));
        state.through_router.insert(3, Seen::There);
        let gaps = Vec::new();
        state.lost_writes = [
            (cell("c1"), LostWritesRead::Reported { rows: vec![row(2, "east", 1)], gaps }),
            (cell("c2"), LostWritesRead::Reported { rows: Vec::new(), gaps: Vec::new() }),
        ]
        .into();
        course
    }

    fn report(course: &mut Course, rows: Vec<LostRow>, gaps: Vec<String>) {
        let read = LostWritesRead::Reported { rows, gaps };
        course.final_state.lost_writes.insert(cell("c1"), read);
    }

    #[test]
    fn what_is_lost_and_reported_breaks_nothing() {
        assert_eq!(check(&whole()), Finding::Pass);
    }

    #[test]
    fn a_lost_message_that_no_report_has_is_caught() {
        let mut course = whole();
        report(&mut course, Vec::new(), Vec::new());
        assert_eq!(
            check(&course),
            Finding::Fail(vec![
                "message 2, acknowledged by c1@east under epoch 1 at 0.025 s, is lost, and no \
                 report says so"
                    .to_owned()
            ])
        );
    }

    #[test]
    fn a_lost_ticket_that_no_report_has_is_caught() {
        let mut course = whole();
        course.final_state.through_router.insert(3, Seen::Missing);
        assert!(matches!(check(&course), Finding::Fail(_)));
        report(&mut course, vec![row(2, "east", 1), row(3, "east", 1)], Vec::new());
        assert_eq!(check(&course), Finding::Pass);
    }

    #[test]
    fn one_that_is_reported_and_there_is_caught() {
        let mut course = whole();
        report(&mut course, vec![row(1, "east", 1), row(2, "east", 1)], Vec::new());
        assert_eq!(
            check(&course),
            Finding::Fail(vec![
                "message 1, acknowledged by c1@east under epoch 1 at 0.015 s, is reported as lost, \
                 and is there"
                    .to_owned()
            ])
        );
    }

    #[test]
    fn one_that_was_sent_on_to_the_successor_may_be_lost_where_it_was_tried_first() {
        let mut course = whole();
        course.operations[1].served = Some(served("south", 3));
        report(&mut course, vec![row(1, "east", 1), row(2, "east", 1)], Vec::new());
        assert_eq!(check(&course), Finding::Pass);
    }

    #[test]
    fn a_report_that_does_not_list_all_rows_proves_nothing() {
        let mut course = whole();
        report(&mut course, Vec::new(), vec!["the report of c1@east is cut short".to_owned()]);
        assert!(matches!(check(&course), Finding::Unknown(_)));
    }

    #[test]
    fn what_was_not_measured_is_never_a_pass() {
        let mut course = whole();
        let unread = LostWritesRead::Unread("the control plane answered 404".to_owned());
        course.final_state.lost_writes.insert(cell("c1"), unread);
        assert_eq!(
            check(&course),
            Finding::Unknown(vec![
                "not measured: lost writes of c1: the control plane answered 404".to_owned()
            ])
        );
        course.final_state.lost_writes.clear();
        assert!(matches!(check(&course), Finding::Unknown(_)));
        let mut course = whole();
        course.final_state.conversations.clear();
        assert!(matches!(check(&course), Finding::Unknown(_)));
    }
}
