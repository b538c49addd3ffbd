//! Every acknowledged ticket is there, for its user and in every site's database; what was
//! definitely refused is in none (I5).

use std::collections::BTreeSet;

use super::Finding;
use crate::course::{Course, DatabaseRead, Seen};
use crate::history::{Failure, Kind, Operation, Outcome};

pub(super) fn check(course: &Course) -> Finding {
    let state = &course.final_state;
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    for operation in tickets(course).filter(|operation| operation.is_ok()) {
        match state.through_router.get(&operation.number) {
            Some(Seen::There) => {}
            Some(Seen::Missing) => broken.push(lost(operation, "its user")),
            Some(Seen::Unread(why)) => missing.push(format!("ticket {}: {why}", operation.number)),
            None => missing.push(format!("ticket {} was not read back", operation.number)),
        }
    }
    let cells: BTreeSet<_> = tickets(course).map(|operation| course.cell_of(operation)).collect();
    for cell in cells.iter().filter(|cell| !state.databases.keys().any(|s| s.cell == ***cell)) {
        missing.push(format!("no database of {cell} was read"));
    }
    for (site, read) in &state.databases {
        let rows = match read {
            DatabaseRead::Tickets(rows) => rows,
            DatabaseRead::Unread(why) => {
                missing.push(format!("database of {site}: {why}"));
                continue;
            }
        };
        for operation in tickets(course).filter(|op| *course.cell_of(op) == site.cell) {
            let there = rows.contains_key(&operation.number);
            if operation.is_ok() && !there {
                broken.push(lost(operation, &site.to_string()));
            } else if was_refused(operation) && there {
                let number = operation.number;
                broken.push(format!("ticket {number} was refused, and is in {site} nevertheless"));
            }
        }
    }
    Finding::from_evidence(broken, missing)
}

/// Returns how many acknowledged tickets are gone; `None` while that is not known of every one.
pub(crate) fn lost_strong(course: &Course) -> Option<usize> {
    let state = &course.final_state;
    let mut lost = 0;
    for operation in tickets(course).filter(|operation| operation.is_ok()) {
        let cell = course.cell_of(operation);
        let mut databases =
            state.databases.iter().filter(|(site, _)| site.cell == *cell).peekable();
        databases.peek()?;
        let mut is_lost = match state.through_router.get(&operation.number)? {
            Seen::There => false,
            Seen::Missing => true,
            Seen::Unread(_) => return None,
        };
        for (_, read) in databases {
            match read {
                DatabaseRead::Tickets(rows) => is_lost |= !rows.contains_key(&operation.number),
                DatabaseRead::Unread(_) => return None,
            }
        }
        lost += usize::from(is_lost);
    }
    Some(lost)
}

fn tickets(course: &Course) -> impl Iterator<Item = &Operation> {
    course.operations.iter().filter(|operation| operation.kind == Kind::Ticket)
}

fn was_refused(operation: &Operation) -> bool {
    match &operation.outcome {
        Outcome::Fail(failure) => *failure != Failure::Dropped,
        Outcome::Ok(_) | Outcome::Unknown(_) => false,
    }
}

fn lost(operation: &Operation, place: &str) -> String {
    let served = operation.served.as_ref().map_or_else(String::new, |served| {
        format!(" by {}@{} under epoch {}", served.cell, served.region, served.epoch)
    });
    let at = operation.ended.as_secs_f64();
    format!(
        "ticket {} was acknowledged{served} at {at:.3} s, and {place} lacks it",
        operation.number
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Failure;
    use crate::history::fixture::{refused, ticket, users};

    /// Tickets 0 and 1 acknowledged, 2 refused, 3 unknown; both acknowledged ones are everywhere.
    fn whole() -> Course {
        let outcome = Outcome::Unknown(Failure::Timeout);
        let unknown = Operation { outcome, ..ticket(3, 30, 40) };
        let mut course = Course {
            users: users(),
            operations: vec![ticket(0, 0, 5), ticket(1, 10, 15), refused(2, 20, 21), unknown],
            ..Course::default()
        };
        course.final_state.through_router = [(0, Seen::There), (1, Seen::There)].into();
        for site in ["c1@east", "c1@north", "c1@south"] {
            let rows = DatabaseRead::Tickets([(0, 1), (1, 1)].into());
            course.final_state.databases.insert(site.parse().unwrap(), rows);
        }
        course
    }

    fn rows(course: &mut Course, site: &str, rows: &[u32]) {
        let rows = DatabaseRead::Tickets(rows.iter().map(|number| (*number, 1)).collect());
        course.final_state.databases.insert(site.parse().unwrap(), rows);
    }

    #[test]
    fn a_ticket_whose_outcome_is_unknown_may_be_there_or_not() {
        let mut course = whole();
        assert_eq!(check(&course), Finding::Pass);
        rows(&mut course, "c1@south", &[0, 1, 3]);
        assert_eq!(check(&course), Finding::Pass);
        assert_eq!(lost_strong(&course), Some(0));
    }

    #[test]
    fn one_that_is_missing_in_one_database_is_lost() {
        let mut course = whole();
        rows(&mut course, "c1@south", &[0]);
        let Finding::Fail(witnesses) = check(&course) else { panic!("not caught") };
        assert_eq!(
            witnesses,
            [
                "ticket 1 was acknowledged by c1@east under epoch 1 at 0.015 s, and c1@south lacks it"
            ]
        );
        assert_eq!(lost_strong(&course), Some(1));
    }

    #[test]
    fn one_that_its_user_cannot_see_is_lost() {
        let mut course = whole();
        course.final_state.through_router.insert(0, Seen::Missing);
        assert!(matches!(check(&course), Finding::Fail(_)));
        assert_eq!(lost_strong(&course), Some(1));
    }

    #[test]
    fn one_that_was_refused_must_not_rise_again() {
        let mut course = whole();
        rows(&mut course, "c1@north", &[0, 1, 2]);
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn a_database_that_was_not_read_proves_nothing() {
        let mut course = whole();
        let unread = DatabaseRead::Unread("connection refused".to_owned());
        course.final_state.databases.insert("c1@north".parse().unwrap(), unread);
        assert!(matches!(check(&course), Finding::Unknown(_)));
        assert_eq!(lost_strong(&course), None);
        course.final_state.databases.clear();
        assert!(matches!(check(&course), Finding::Unknown(_)));
        assert_eq!(lost_strong(&course), None);
    }
}
