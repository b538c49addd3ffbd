//! Nobody acknowledges once its right has run out: no answer, to a weak write or a read either, comes from
//! a site under an epoch that a later one had already answered after, unless it calls itself an old one.
//! Stronger than one writer at a time, which looks at strong writes only.

use topology::invariant::single_writer;

use super::Finding;
use super::single_writer::acknowledged_by;
use crate::course::Course;

pub(super) fn check(course: &Course) -> Finding {
    let mut acks = Vec::new();
    let mut missing = Vec::new();
    let asked = course.operations.iter().chain(&course.direct);
    for operation in asked.filter(|operation| operation.is_vouched_for()) {
        let Some(served) = &operation.served else {
            let (kind, number) = (operation.kind.name(), operation.number);
            missing.push(format!("the answer to {kind} {number} does not say whose it is"));
            continue;
        };
        acks.push(acknowledged_by(operation, served));
    }
    let broken = single_writer(&acks).into_iter().map(|violation| violation.witness).collect();
    Finding::from_evidence(broken, missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Operation;
    use crate::history::fixture::{again, message, served, ticket, users};

    fn course(operations: Vec<Operation>) -> Course {
        Course { users: users(), operations, ..Course::default() }
    }

    fn by(region: &str, epoch: u64, operation: Operation) -> Operation {
        Operation { served: Some(served(region, epoch)), ..operation }
    }

    #[test]
    fn a_weak_write_that_a_thawed_site_acknowledges_is_caught() {
        let successor = by("south", 3, ticket(1, 10, 15));
        let late = by("east", 1, message(2, 60, 65, 1));
        assert!(matches!(check(&course(vec![successor.clone(), late])), Finding::Fail(_)));
        let refused_late = by("south", 3, message(2, 60, 65, 1));
        let early = by("east", 1, message(0, 0, 5, 1));
        assert_eq!(check(&course(vec![early, successor, refused_late])), Finding::Pass);
    }

    #[test]
    fn a_weak_write_that_is_asked_again_of_a_thawed_site_is_caught() {
        let successor = by("south", 3, ticket(1, 10, 15));
        let late = by("east", 1, message(2, 5, 65, 1));
        assert_eq!(check(&course(vec![successor.clone(), late.clone()])), Finding::Pass);
        assert!(matches!(check(&course(vec![successor, again(60, late)])), Finding::Fail(_)));
    }

    #[test]
    fn a_thawed_site_that_acknowledges_what_waited_in_it_is_caught() {
        let mut course = course(vec![by("south", 3, ticket(1, 10, 15))]);
        course.direct = vec![by("east", 1, ticket(u32::MAX, 50, 65))];
        assert!(matches!(check(&course), Finding::Fail(_)));
    }

    #[test]
    fn an_answer_that_does_not_say_whose_it_is_proves_nothing() {
        let nobodys = Operation { served: None, ..message(0, 0, 5, 1) };
        assert!(matches!(check(&course(vec![nobodys])), Finding::Unknown(_)));
    }
}
