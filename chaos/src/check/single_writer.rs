//! One region acknowledges for a cell at a time, and never under two epochs (I1).

use std::time::Duration;

use topology::invariant::{Acknowledged, single_writer};

use super::Finding;
use crate::course::Course;
use crate::history::{Operation, Served};

/// Looks at strong writes only: a weak one may still be acknowledged by a site that does not know
/// yet that it was succeeded, and is counted as lost then.
pub(super) fn check(course: &Course) -> Finding {
    let acknowledged =
        |operation: &&Operation| operation.kind.is_strong_write() && operation.is_ok();
    let mut acks = Vec::new();
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    for operation in course.operations.iter().filter(acknowledged) {
        let Some(served) = &operation.served else {
            missing.push(format!(
                "the answer to {} {} does not say whose it is",
                operation.kind.name(),
                operation.number
            ));
            continue;
        };
        if served.cell != *course.cell_of(operation) {
            let (kind, number) = (operation.kind.name(), operation.number);
            let (owner, cell) = (course.cell_of(operation), &served.cell);
            broken.push(format!("{kind} {number} of cell {owner} was taken by cell {cell}"));
        }
        acks.push(acknowledged_by(operation, served));
    }
    broken.extend(single_writer(&acks).into_iter().map(|violation| violation.witness));
    Finding::from_evidence(broken, missing)
}

/// Who acknowledges has been asked by the last try, whatever became of the ones before.
pub(super) fn acknowledged_by(operation: &Operation, served: &Served) -> Acknowledged {
    Acknowledged {
        cell: served.cell.clone(),
        epoch: served.epoch,
        region: served.region.clone(),
        sent: nanos(operation.asked()),
        answered: nanos(operation.ended),
    }
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{again, served, ticket, users};

    fn course(served_by: [(&str, u64); 3]) -> Course {
        let operations = served_by
            .iter()
            .zip(0u32..)
            .map(|((region, epoch), number)| {
                let sent = u64::from(number) * 10;
                let served = Some(served(region, *epoch));
                Operation { served, ..ticket(number, sent, sent + 5) }
            })
            .collect();
        Course { users: users(), operations, ..Course::default() }
    }

    #[test]
    fn an_orderly_failover_breaks_nothing() {
        assert_eq!(check(&course([("east", 1), ("east", 1), ("south", 3)])), Finding::Pass);
    }

    #[test]
    fn a_zombie_that_acknowledges_after_its_successor_is_caught() {
        let course = course([("east", 1), ("south", 3), ("east", 1)]);
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn a_zombie_that_acknowledges_what_was_asked_again_after_its_successor_is_caught() {
        let late = Operation { served: Some(served("east", 1)), ..ticket(2, 2, 25) };
        let course = |last| {
            let mut course = course([("east", 1), ("south", 3), ("east", 1)]);
            course.operations[2] = last;
            course
        };
        // It was under way while its successor began.
        assert_eq!(check(&course(late.clone())), Finding::Pass);
        assert!(matches!(check(&course(again(20, late))), Finding::Fail(_)));
    }

    #[test]
    fn two_regions_under_one_epoch_are_caught() {
        let course = course([("east", 1), ("south", 1), ("south", 1)]);
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn a_cell_that_takes_anothers_user_is_caught() {
        let mut course = course([("east", 1), ("east", 1), ("east", 1)]);
        course.operations[1].user = 1;
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn an_answer_without_an_epoch_proves_nothing() {
        let mut course = course([("east", 1), ("east", 1), ("south", 3)]);
        course.operations[0].served = None;
        assert!(matches!(check(&course), Finding::Unknown(_)));
    }
}
