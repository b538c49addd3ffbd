//! Whom a kill cut short: what was under way in a router that died. Whoever asks after it is to be answered.

use std::time::Duration;

use super::HELD;
use crate::course::Course;
use crate::fault::Kill;
use crate::history::{Failure, Operation, Outcome};

/// What is sent over a connection before its user has heard that the other end is gone ends with it, too.
const UNHEARD: Duration = Duration::from_millis(100);

/// Returns whether a failed request was under way when the fault killed somebody, and its connection ended with
/// them.
pub(super) fn is_cut_short(course: &Course, operation: &Operation) -> bool {
    let mut kills = course.injections.iter().flat_map(|injection| &injection.kills);
    let is_reset = matches!(
        operation.outcome,
        Outcome::Fail(Failure::Reset) | Outcome::Unknown(Failure::Reset)
    );
    is_reset && kills.any(|kill| was_under_way(*kill, operation))
}

/// The kernel tells of it at once; who hears of it long after has waited for something else.
fn was_under_way(Kill { begun, gone }: Kill, operation: &Operation) -> bool {
    operation.asked() <= gone + UNHEARD
        && begun <= operation.ended
        && operation.ended <= gone + HELD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Injection;
    use crate::history::fixture::{again, ms, refused, ticket};

    #[test]
    fn only_a_connection_that_ended_with_who_was_killed_cuts_a_request_short() {
        check(&reset(990, 1002), true);
        check(&reset(1003, 1004), true);
        check(&reset(4990, 5001), true);
        check(&reset(990, 999), false);
        check(&reset(1104, 1105), true);
        check(&reset(1106, 1107), false);
        check(&reset(990, 2006), false);
        check(&reset(4000, 4500), false);
        check(&refused(0, 990, 1002), false);
        check(&Operation { outcome: Outcome::Fail(Failure::Reset), ..ticket(0, 990, 1002) }, true);
        check(
            &Operation { outcome: Outcome::Fail(Failure::Timeout), ..ticket(0, 990, 1002) },
            false,
        );
        // It was asked again after the kill.
        check(&again(1500, reset(990, 1600)), false);
    }

    fn reset(due: u64, ended: u64) -> Operation {
        Operation { outcome: Outcome::Unknown(Failure::Reset), ..ticket(0, due, ended) }
    }

    #[track_caller]
    fn check(operation: &Operation, expected: bool) {
        let kill = |begun| Kill { begun: ms(begun), gone: ms(begun + 5) };
        let injection = Injection { kills: vec![kill(1000), kill(5000)], ..Injection::default() };
        let course = Course { injections: vec![injection], ..Course::default() };
        assert_eq!(is_cut_short(&course, operation), expected, "{operation:?}");
    }
}
