//! Per idempotency key at most one effect, and exactly one if it was acknowledged (I9).

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::course::{ConversationRead, Course, DatabaseRead};
use crate::history::{Effect, Kind, Outcome};

pub(super) fn check(course: &Course) -> Finding {
    let state = &course.final_state;
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    for (site, read) in &state.databases {
        match read {
            DatabaseRead::Tickets(rows) => {
                let doubled = rows.iter().filter(|(_, count)| **count > 1);
                broken.extend(
                    doubled.map(|(number, count)| {
                        format!("ticket {number} is in {site} {count} times")
                    }),
                );
                broken.extend(absent(course, &site.cell, rows).into_iter().map(|number| {
                    format!("ticket {number} was acknowledged, and had no effect in {site}")
                }));
            }
            DatabaseRead::Unread(why) => missing.push(format!("database of {site}: {why}")),
        }
    }
    for (user, read) in &state.conversations {
        match read {
            ConversationRead::Messages(messages) => {
                let mut seen = BTreeSet::new();
                broken.extend(
                    messages
                        .iter()
                        .filter(|(_, number)| !seen.insert(*number))
                        .map(|(seq, number)| format!("message {number} is there again as {seq}")),
                );
            }
            ConversationRead::Unread(why) => {
                missing.push(format!("conversation of {}: {why}", course.users[*user].name));
            }
        }
    }
    if state.databases.is_empty() && course.operations.iter().any(|op| op.kind == Kind::Ticket) {
        missing.push("no database was read".to_owned());
    }
    broken.extend(shared_answers(course));
    Finding::from_evidence(broken, missing)
}

fn absent(course: &Course, cell: &topology::CellId, rows: &BTreeMap<u32, u32>) -> Vec<u32> {
    let tickets = course.operations.iter().filter(|op| op.kind == Kind::Ticket && op.is_ok());
    tickets
        .filter(|op| course.cell_of(op) == cell && !rows.contains_key(&op.number))
        .map(|op| op.number)
        .collect()
}

/// Two keys must not be acknowledged with one ticket.
fn shared_answers(course: &Course) -> Vec<String> {
    let mut owners: BTreeMap<&str, u32> = BTreeMap::new();
    let mut broken = Vec::new();
    for operation in &course.operations {
        let Outcome::Ok(Effect::Ticket { id }) = &operation.outcome else { continue };
        if let Some(other) = owners.insert(id, operation.number) {
            let number = operation.number;
            broken.push(format!("tickets {other} and {number} were both acknowledged as {id}"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{message, ticket, users};

    fn whole() -> Course {
        let mut course = Course {
            users: users(),
            operations: vec![ticket(0, 0, 5), message(1, 10, 15, 1)],
            ..Course::default()
        };
        let rows = DatabaseRead::Tickets([(0, 1)].into());
        course.final_state.databases.insert("c1@east".parse().unwrap(), rows);
        let messages = ConversationRead::Messages(vec![(1, 1)]);
        course.final_state.conversations.insert(0, messages);
        course
    }

    #[test]
    fn one_effect_each_is_right() {
        assert_eq!(check(&whole()), Finding::Pass);
    }

    #[test]
    fn a_ticket_written_twice_is_caught() {
        let mut course = whole();
        let rows = DatabaseRead::Tickets([(0, 2)].into());
        course.final_state.databases.insert("c1@east".parse().unwrap(), rows);
        assert_eq!(
            check(&course),
            Finding::Fail(vec!["ticket 0 is in c1@east 2 times".to_owned()])
        );
    }

    #[test]
    fn a_message_written_twice_is_caught() {
        let mut course = whole();
        let messages = ConversationRead::Messages(vec![(1, 1), (3, 1)]);
        course.final_state.conversations.insert(0, messages);
        assert_eq!(check(&course), Finding::Fail(vec!["message 1 is there again as 3".to_owned()]));
    }

    #[test]
    fn an_acknowledged_ticket_without_effect_is_caught() {
        let mut course = whole();
        let rows = DatabaseRead::Tickets(BTreeMap::new());
        course.final_state.databases.insert("c1@east".parse().unwrap(), rows);
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn one_ticket_for_two_keys_is_caught() {
        let mut course = whole();
        let mut second = ticket(2, 20, 25);
        second.outcome = Outcome::Ok(Effect::Ticket { id: "tkt_0".to_owned() });
        course.operations.push(second);
        let rows = DatabaseRead::Tickets([(0, 1), (2, 1)].into());
        course.final_state.databases.insert("c1@east".parse().unwrap(), rows);
        assert!(matches!(check(&course), Finding::Fail(_)));
    }
}
