//! A conversation's messages are in the order they were sent in.
//!
//! Messages are weak: one that was acknowledged may be gone after its region was lost, and its
//! number given again. That is counted, and is no failure; anything else out of order is.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::messages::{Acked, acknowledged, stored};
use crate::course::Course;
use crate::history::Operation;

pub(super) fn check(course: &Course) -> Finding {
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    for (user, acked) in acknowledged(course) {
        let name = &course.users[user].name;
        let stored = match stored(course, user) {
            Ok(stored) => stored,
            Err(why) => {
                missing.push(why);
                continue;
            }
        };
        if let Some(pair) = stored.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            broken.push(format!("{name}: {} is followed by {}", pair[0].0, pair[1].0));
        }
        let at: BTreeMap<u32, u64> = stored.iter().map(|(seq, number)| (*number, *seq)).collect();
        let kept = acked.iter().filter(|(operation, _)| at.contains_key(&operation.number));
        for (operation, seq) in kept.clone() {
            let stored = at[&operation.number];
            if stored != *seq {
                let number = operation.number;
                broken.push(format!("{name}: message {number} was told {seq}, and is {stored}"));
            }
        }
        broken.extend(out_of_order(name, &kept.copied().collect::<Vec<_>>()));
        broken.extend(out_of_order_within_an_epoch(name, &acked));
    }
    broken.sort();
    broken.dedup();
    Finding::from_evidence(broken, missing)
}

/// Returns the acknowledged messages that are gone; `None` while that is not known of every one.
pub(crate) fn lost_weak(course: &Course) -> Option<Vec<&Operation>> {
    let mut lost = Vec::new();
    for (user, acked) in acknowledged(course) {
        let stored = stored(course, user).ok()?;
        let there: BTreeSet<u32> = stored.iter().map(|(_, number)| *number).collect();
        let gone = acked.iter().filter(|(operation, _)| !there.contains(&operation.number));
        lost.extend(gone.map(|(operation, _)| *operation));
    }
    Some(lost)
}

/// A message that was sent after another had been acknowledged has a higher number.
fn out_of_order(name: &str, acked: &[(&Operation, u64)]) -> Vec<String> {
    let mut by_sent: Acked<'_> = acked.to_vec();
    by_sent.sort_by_key(|(operation, _)| operation.sent);
    let mut by_ended: Acked<'_> = acked.to_vec();
    by_ended.sort_by_key(|(operation, _)| operation.ended);
    let mut ended = by_ended.into_iter().peekable();
    let mut highest: Option<(&Operation, u64)> = None;
    let mut broken = Vec::new();
    for (operation, seq) in by_sent {
        while let Some(earlier) = ended.next_if(|(earlier, _)| earlier.ended < operation.sent) {
            highest = highest.filter(|(_, seq)| *seq >= earlier.1).or(Some(earlier));
        }
        if let Some((earlier, earlier_seq)) = highest.filter(|(_, highest)| *highest >= seq) {
            broken.push(format!(
                "{name}: message {} is {seq}, but was sent after message {} was told {earlier_seq}",
                operation.number, earlier.number
            ));
        }
    }
    broken
}

fn out_of_order_within_an_epoch(name: &str, acked: &[(&Operation, u64)]) -> Vec<String> {
    let mut epochs: BTreeMap<_, Acked<'_>> = BTreeMap::new();
    for (operation, seq) in acked {
        let epoch = operation.served.as_ref().map(|served| served.epoch);
        epochs.entry(epoch).or_default().push((operation, *seq));
    }
    epochs.values().flat_map(|acked| out_of_order(name, acked)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::ConversationRead;
    use crate::history::fixture::{again, message, served, users};

    fn course(operations: Vec<Operation>, stored: &[(u64, u32)]) -> Course {
        let mut course = Course { users: users(), operations, ..Course::default() };
        let messages = ConversationRead::Messages(stored.to_vec());
        course.final_state.conversations.insert(0, messages);
        course
    }

    #[test]
    fn messages_sent_at_once_may_be_in_either_order() {
        let operations = vec![message(0, 0, 50, 3), message(1, 10, 40, 1)];
        let course = course(operations, &[(1, 1), (3, 0)]);
        assert_eq!(check(&course), Finding::Pass);
        assert_eq!(lost_weak(&course).map(|lost| lost.len()), Some(0));
    }

    #[test]
    fn a_later_message_with_an_earlier_number_is_caught() {
        let operations = vec![message(0, 0, 5, 3), message(1, 10, 15, 1)];
        assert!(matches!(check(&course(operations, &[(1, 1), (3, 0)])), Finding::Fail(_)));
    }

    #[test]
    fn a_message_that_was_asked_again_may_have_its_number_from_its_first_try() {
        let operations = vec![message(0, 0, 15, 3), again(20, message(1, 10, 25, 1))];
        assert_eq!(check(&course(operations, &[(1, 1), (3, 0)])), Finding::Pass);
    }

    #[test]
    fn a_number_given_twice_in_one_epoch_is_caught() {
        let operations = vec![message(0, 0, 5, 1), message(1, 10, 15, 1)];
        assert!(matches!(check(&course(operations, &[(1, 1)])), Finding::Fail(_)));
    }

    #[test]
    fn a_number_that_was_lost_with_its_region_may_be_given_again() {
        let mut second = message(1, 10, 15, 1);
        second.served = Some(served("south", 3));
        let course = course(vec![message(0, 0, 5, 1), second], &[(1, 1)]);
        assert_eq!(check(&course), Finding::Pass);
        assert_eq!(lost_weak(&course).map(|lost| lost.len()), Some(1));
    }

    #[test]
    fn a_message_stored_under_another_number_than_told_is_caught() {
        let course = course(vec![message(0, 0, 5, 1)], &[(2, 0)]);
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn a_conversation_read_out_of_order_is_caught() {
        let operations = vec![message(0, 0, 5, 1), message(1, 2, 6, 2)];
        assert!(matches!(check(&course(operations, &[(2, 1), (1, 0)])), Finding::Fail(_)));
    }

    #[test]
    fn a_conversation_that_was_not_read_proves_nothing() {
        let mut course = course(vec![message(0, 0, 5, 1)], &[(1, 0)]);
        course.final_state.conversations.clear();
        assert!(matches!(check(&course), Finding::Unknown(_)));
        assert_eq!(lost_weak(&course), None);
    }
}
