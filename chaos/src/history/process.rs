//! Which of Jepsen's processes each operation is of. A process does one thing after the other, and is never
//! heard of again once nobody knows what became of what it did; a user may ask while an answer is outstanding.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Operation, Outcome};

/// Returns a process for each operation, in their order. A user's first one has the user's number; those that
/// they need besides are numbered from `users` on.
pub(super) fn processes(operations: &[Operation], users: usize) -> Vec<usize> {
    let mut by_time: Vec<usize> = (0..operations.len()).collect();
    by_time.sort_by_key(|index| operations[*index].sent);
    let mut next = users;
    // Of each user: their processes that can still do something, and from when on.
    let mut idle: BTreeMap<usize, Vec<(usize, Duration)>> = BTreeMap::new();
    let mut processes = vec![0; operations.len()];
    for index in by_time {
        let operation = &operations[index];
        let own =
            idle.entry(operation.user).or_insert_with(|| vec![(operation.user, Duration::ZERO)]);
        // Of what ends at the moment at which the next is sent nobody knows which line comes first.
        let is_free =
            |(_, free): &(usize, Duration)| *free < operation.sent || *free == Duration::ZERO;
        let process = if let Some(at) = own.iter().position(is_free) {
            own.remove(at).0
        } else {
            next += 1;
            next - 1
        };
        match operation.outcome {
            Outcome::Ok(_) | Outcome::Fail(_) => own.push((process, operation.ended)),
            Outcome::Unknown(_) => {}
        }
        processes[index] = process;
    }
    processes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Failure;
    use crate::history::fixture::ticket;

    #[test]
    fn who_waits_for_an_answer_asks_by_another_process() {
        let operations =
            [ticket(0, 0, 40), ticket(1, 10, 20), ticket(2, 30, 50), ticket(3, 60, 70)];
        assert_eq!(processes(&operations, 2), [0, 2, 2, 0]);
        // The next one at the same moment is one beside it.
        assert_eq!(processes(&[ticket(0, 0, 40), ticket(1, 40, 50)], 2), [0, 2]);
    }

    #[test]
    fn a_process_of_which_nobody_knows_what_it_did_is_never_heard_of_again() {
        let lost = Operation { outcome: Outcome::Unknown(Failure::Timeout), ..ticket(0, 0, 10) };
        let other = Operation { user: 1, ..ticket(3, 60, 70) };
        let operations = [lost, ticket(1, 20, 30), ticket(2, 40, 50), other];
        assert_eq!(processes(&operations, 2), [0, 2, 2, 1]);
    }

    #[test]
    fn they_are_told_apart_by_when_they_asked_and_not_by_their_order() {
        let operations = [ticket(0, 20, 30), ticket(1, 0, 10)];
        assert_eq!(processes(&operations, 1), [0, 0]);
    }
}
