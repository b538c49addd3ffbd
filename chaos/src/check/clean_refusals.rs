//! While writes are to be refused, they are: by an answer that says so and when to come again, and not by
//! leaving users to wait, cutting them off, or telling them that nobody knows. Reads go on.

use super::Finding;
use crate::course::Course;
use crate::history::{Kind, Operation, Outcome};
use crate::refusals::Refusals;

/// What was asked before everybody knew may have been lost on its way, and is not judged. Of reads that a
/// standby may answer some have to be, of the cells that have one left: where nothing but the active site is,
/// its right has run out, and nobody may answer.
pub(super) fn check(course: &Course) -> Finding {
    let refusals = Refusals::of(course);
    let (mut broken, mut refused) = (Vec::new(), 0_usize);
    let (reads, others): (Vec<&Operation>, Vec<&Operation>) =
        course.operations.iter().partition(|operation| operation.kind == Kind::WeakRead);
    let is_judged =
        |read: &&Operation| refusals.cover_noticed(course, read) && has_standby(course, read);
    let mut reads = reads.into_iter().filter(is_judged).peekable();
    if reads.peek().is_some() && !reads.any(Operation::is_ok) {
        broken.push("no read that a standby may answer was answered".to_owned());
    }
    for operation in others {
        if refusals.expect(course, operation) {
            refused += usize::from(is_write(operation));
        } else if let Outcome::Fail(failure) | Outcome::Unknown(failure) = &operation.outcome
            && refusals.cover_noticed(course, operation)
        {
            broken.push(format!(
                "{} {} was to be refused, and came to {failure} after {:.2} s",
                operation.kind.name(),
                operation.number,
                operation.latency().as_secs_f64(),
            ));
        }
    }
    let missing = (refused == 0 && !refusals.is_empty()).then(|| "no write was refused".to_owned());
    Finding::from_evidence(broken, missing.into_iter().collect())
}

/// Whether a cell has more left than the site that was active when everything else was lost.
fn has_standby(course: &Course, operation: &Operation) -> bool {
    let cell = course.cell_of(operation);
    let alone = course.injections.iter().any(|injection| {
        injection.left.is_some() && injection.cells.get(cell) == Some(&injection.left)
    });
    !alone
}

fn is_write(operation: &Operation) -> bool {
    operation.kind.is_strong_write() || operation.kind == Kind::Message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Failure;
    use crate::history::fixture::{message, read, ticket};
    use crate::refusals::fixture::{course, refusal, told};

    fn unknown(failure: Failure, sent: u64, ended: u64) -> Operation {
        Operation { outcome: Outcome::Unknown(failure), ..ticket(7, sent, ended) }
    }

    fn finding(operation: Operation) -> Finding {
        check(&course(vec![refusal(0, 2000, 11_900), operation]))
    }

    #[test]
    fn a_request_that_hangs_or_is_cut_off_is_caught() {
        let told = "ticket 7 was to be refused, and came to timeout after 15.00 s";
        let hangs = unknown(Failure::Timeout, 12_000, 27_000);
        assert_eq!(finding(hangs), Finding::Fail(vec![told.to_owned()]));
        let cut_off = unknown(Failure::Reset, 12_000, 12_001);
        assert!(matches!(finding(cut_off), Finding::Fail(_)));
    }

    #[test]
    fn a_refusal_that_does_not_say_when_to_come_again_is_caught() {
        let silent = |says_when| told(7, 12_000, 12_010, "at-risk", says_when);
        assert!(matches!(finding(silent(false)), Finding::Fail(_)));
        assert_eq!(finding(silent(true)), Finding::Pass);
    }

    #[test]
    fn what_was_lost_before_routers_had_noticed_and_what_was_answered_is_no_breach() {
        assert_eq!(finding(unknown(Failure::Timeout, 1500, 16_500)), Finding::Pass);
        assert_eq!(finding(unknown(Failure::Reset, 500, 1100)), Finding::Pass);
        assert_eq!(finding(unknown(Failure::Timeout, 30_500, 45_500)), Finding::Pass);
        assert_eq!(finding(message(7, 12_000, 12_005, 1)), Finding::Pass);
        // Held until all was healed, and then there was no room.
        assert_eq!(finding(told(7, 25_000, 31_000, "overload", true)), Finding::Pass);
    }

    #[test]
    fn reads_that_a_standby_may_answer_and_none_of_which_is_are_caught() {
        let weak = |operation| Operation { kind: Kind::WeakRead, ..operation };
        let refused = weak(refusal(1, 12_000, 21_900));
        let told = "no read that a standby may answer was answered".to_owned();
        assert_eq!(finding(refused.clone()), Finding::Fail(vec![told]));
        let answered = weak(read(2, 13_000, 13_005, 1));
        let both = vec![refusal(0, 2000, 11_900), refused, answered];
        assert_eq!(check(&course(both)), Finding::Pass);
    }

    #[test]
    fn of_a_cell_whose_active_site_alone_is_left_no_read_has_to_be_answered() {
        let weak = Operation { kind: Kind::WeakRead, ..refusal(1, 12_000, 21_900) };
        let mut course = course(vec![refusal(0, 2000, 11_900), weak]);
        let [north, east] = ["north", "east"].map(|region| region.parse().ok());
        let injection = &mut course.injections[0];
        injection.left = north.clone();
        injection.cells.values_mut().for_each(|active| *active = east.clone());
        assert!(matches!(check(&course), Finding::Fail(_)));
        course.injections[0].cells.values_mut().for_each(|active| *active = north.clone());
        assert_eq!(check(&course), Finding::Pass);
    }

    #[test]
    fn where_nothing_was_refused_it_is_not_known() {
        let finding = check(&course(vec![ticket(0, 100, 105)]));
        assert_eq!(finding, Finding::Unknown(vec!["no write was refused".to_owned()]));
    }
}
