//! Every acknowledged ticket is there, for its user and in every site's database; what was
//! definitely refused is in none. Every version of a kept ticket that an answer vouched for, by a transition
//! or by a read, is there as well: at least that one, everywhere (I5).

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::course::{Course, DatabaseRead, FinalVersion, Seen};
use crate::history::{Effect, Failure, Kind, Operation, Outcome};

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
    let vouched = highest_versions(course);
    let cells: BTreeSet<_> =
        strong_writes(course).map(|operation| course.cell_of(operation)).collect();
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
        let of_cell = vouched.iter().filter(|(user, _)| course.users[**user].cell == site.cell);
        for (user, (version, operation)) in of_cell {
            let kept = state.versions_in.get(site).and_then(|versions| versions.get(user));
            if kept.is_none_or(|kept| kept < version) {
                let has = kept.map_or_else(|| "none".to_owned(), ToString::to_string);
                broken.push(format!(
                    "{} {} answered version {version} of the ticket of {}, and {site} has {has}",
                    operation.kind.name(),
                    operation.number,
                    course.users[*user].name
                ));
            }
        }
    }
    Finding::from_evidence(broken, missing)
}

/// Returns how many acknowledged tickets and transitions are gone; `None` while that is not known of
/// every one.
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
    Some(lost + lost_transitions(course)?)
}

fn lost_transitions(course: &Course) -> Option<usize> {
    let state = &course.final_state;
    let mut lost = 0;
    for operation in &course.operations {
        let Outcome::Ok(Effect::Changed { version }) = operation.outcome else { continue };
        let mut is_lost = match state.versions.get(&operation.user)? {
            FinalVersion::Is(kept) => *kept < version,
            FinalVersion::Gone => true,
            FinalVersion::Unread(_) => return None,
        };
        let cell = course.cell_of(operation);
        for (site, read) in state.databases.iter().filter(|(site, _)| site.cell == *cell) {
            if matches!(read, DatabaseRead::Unread(_)) {
                return None;
            }
            let kept = state.versions_in.get(site).and_then(|kept| kept.get(&operation.user));
            is_lost |= kept.is_none_or(|kept| *kept < version);
        }
        lost += usize::from(is_lost);
    }
    Some(lost)
}

/// Returns of each user's kept ticket the highest version that was vouched for, and by what.
fn highest_versions(course: &Course) -> BTreeMap<usize, (u64, &Operation)> {
    let mut highest: BTreeMap<usize, (u64, &Operation)> = BTreeMap::new();
    for operation in &course.operations {
        let Some(version) = operation.vouched_version() else { continue };
        let of_user = highest.entry(operation.user).or_insert((version, operation));
        if of_user.0 < version {
            *of_user = (version, operation);
        }
    }
    highest
}

fn strong_writes(course: &Course) -> impl Iterator<Item = &Operation> {
    course.operations.iter().filter(|operation| operation.kind.is_strong_write())
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
    use crate::history::fixture::{changed, read, refused, ticket, users};

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
    fn a_version_that_a_transition_or_a_read_had_shown_is_lost_where_it_is_missing() {
        let mut course = whole();
        course.operations.extend([changed(4, 50, 55, 2), read(5, 60, 65, 3)]);
        course.final_state.versions.insert(0, FinalVersion::Is(3));
        let mut everywhere = |versions: [u64; 3]| {
            for (site, version) in ["c1@east", "c1@north", "c1@south"].into_iter().zip(versions) {
                let kept = [(0, version)].into();
                course.final_state.versions_in.insert(site.parse().unwrap(), kept);
            }
            (check(&course), lost_strong(&course))
        };
        assert_eq!(everywhere([3, 3, 4]), (Finding::Pass, Some(0)));
        let told = "strong-read 5 answered version 3 of the ticket of u0, and c1@south has 2";
        assert_eq!(everywhere([3, 3, 2]), (Finding::Fail(vec![told.to_owned()]), Some(0)));
        assert_eq!(everywhere([3, 3, 1]).1, Some(1), "the transition to 2 is gone as well");
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
