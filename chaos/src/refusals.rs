//! When writes are to be refused, and which requests were refused as they should be.
//!
//! Pure. A cell that cannot keep what it acknowledges passes by refusing: such requests have not failed, and
//! one that is acknowledged all the same, or left waiting, breaks a rule.

use std::collections::BTreeSet;
use std::time::Duration;

use topology::CellId;

use crate::course::Course;
use crate::drill::Expect;
use crate::history::{Failure, Kind, Operation, Outcome};

/// What users are told whose cell takes no writes: it has nobody who may (held in vain, no room to be held,
/// left alone), or too few who would keep them.
const CODES: [&str; 4] = ["hold-timeout", "hold-full", "cell-unavailable", "at-risk"];
const STATUS: u16 = 503;
/// Until routers have found out. What goes over a connection that nobody ends waits 6 s for an answer; and it
/// takes several such for a site to be left alone.
const NOTICE: Duration = Duration::from_secs(10);

/// Each while in which writes are to be refused.
pub(crate) struct Refusals(Vec<While>);

struct While {
    from: Duration,
    /// No longer than to the next thing that is done, or to when all was healed.
    until: Duration,
    cells: BTreeSet<CellId>,
}

impl Refusals {
    pub(crate) fn of(course: &Course) -> Self {
        let injections = &course.injections;
        let mut whiles = Vec::new();
        for (index, injection) in injections.iter().enumerate() {
            if injection.expect != Expect::RefuseWrites {
                continue;
            }
            let from = injection.ended;
            // What is done at the same time, or was never begun, ends nothing.
            let mut later = injections[index + 1..].iter().map(|later| later.begun);
            let next = later.find(|at| *at >= from);
            let until = next.or(course.healed).unwrap_or(Duration::MAX);
            let hit = injections[..=index].iter().flat_map(|injection| injection.cells.keys());
            whiles.push(While { from, until, cells: hit.cloned().collect() });
        }
        Self(whiles)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns from when to when each is.
    pub(crate) fn times(&self) -> impl Iterator<Item = (Duration, Duration)> {
        self.0.iter().map(|one| (one.from, one.until))
    }

    /// Whether a request was refused as it should be: under way while writes were to be refused, by an answer
    /// that says so. What a standby may answer is to be answered.
    pub(crate) fn expect(&self, course: &Course, operation: &Operation) -> bool {
        operation.kind != Kind::WeakRead
            && is_clean(operation)
            && self
                .whiles_of(course, operation)
                .any(|one| operation.sent <= one.until && operation.ended >= one.from)
    }

    /// Whether a request was asked for, for the last time, and came to something while writes were to be
    /// refused. One that is held until all is healed may be served.
    pub(crate) fn cover(&self, course: &Course, operation: &Operation) -> bool {
        let asked = operation.asked();
        self.whiles_of(course, operation)
            .any(|one| asked >= one.from && operation.ended < one.until)
    }

    /// The same, and by then everybody knows.
    pub(crate) fn cover_noticed(&self, course: &Course, operation: &Operation) -> bool {
        self.whiles_of(course, operation).any(|one| {
            operation.sent >= one.from.saturating_add(NOTICE) && operation.ended < one.until
        })
    }

    fn whiles_of<'a>(
        &'a self,
        course: &'a Course,
        operation: &'a Operation,
    ) -> impl Iterator<Item = &'a While> {
        self.0.iter().filter(move |one| one.cells.contains(course.cell_of(operation)))
    }
}

/// Whether nothing was done, and the answer says why and when to come again.
fn is_clean(operation: &Operation) -> bool {
    match &operation.outcome {
        Outcome::Fail(Failure::Status { status, code, says_when: true }) => {
            *status == STATUS && CODES.contains(&code.as_str())
        }
        Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => false,
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::fault::Injection;
    use crate::history::fixture::{ms, refused, users};

    /// Writes of cell c1 are to be refused from second 1 to second 30.
    pub(crate) fn course(operations: Vec<Operation>) -> Course {
        let injection = Injection {
            begun: ms(900),
            ended: ms(1000),
            cells: [("c1".parse().unwrap(), None)].into(),
            expect: Expect::RefuseWrites,
            ..Injection::default()
        };
        let (users, injections) = (users(), vec![injection]);
        Course { users, operations, injections, healed: Some(ms(30_000)), ..Course::default() }
    }

    /// A ticket that is refused as it should be.
    pub(crate) fn refusal(number: u32, sent: u64, ended: u64) -> Operation {
        told(number, sent, ended, "hold-timeout", true)
    }

    pub(crate) fn told(
        number: u32,
        sent: u64,
        ended: u64,
        code: &str,
        says_when: bool,
    ) -> Operation {
        let failure = Failure::Status { status: STATUS, code: code.to_owned(), says_when };
        Operation { outcome: Outcome::Fail(failure), ..refused(number, sent, ended) }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{course, refusal, told};
    use super::*;
    use crate::fault::Injection;
    use crate::history::fixture::{ms, refused};

    #[track_caller]
    fn check(operation: Operation, expected: bool) {
        let course = course(vec![operation]);
        let operation = &course.operations[0];
        assert_eq!(Refusals::of(&course).expect(&course, operation), expected);
    }

    #[test]
    fn who_is_told_that_nothing_was_done_and_when_to_come_again_was_refused_as_expected() {
        check(refusal(0, 2000, 11_900), true);
        check(told(0, 2000, 2010, "at-risk", true), true);
        check(told(0, 2000, 2010, "at-risk", false), false);
        check(told(0, 2000, 2010, "failing-over", true), false);
        check(refused(0, 2000, 2010), false);
    }

    #[test]
    fn what_was_under_way_while_writes_were_to_be_refused_may_be_refused() {
        check(refusal(0, 500, 10_400), true);
        check(refusal(0, 29_000, 38_900), true);
        check(refusal(0, 100, 800), false);
        check(refusal(0, 30_500, 40_400), false);
    }

    #[test]
    fn other_cells_and_reads_that_a_standby_may_answer_are_to_be_served() {
        check(Operation { user: 1, ..refusal(0, 2000, 11_900) }, false);
        check(Operation { kind: Kind::WeakRead, ..refusal(0, 2000, 11_900) }, false);
        check(Operation { kind: Kind::StrongRead, ..refusal(0, 2000, 11_900) }, true);
    }

    #[test]
    fn they_are_to_be_refused_until_the_next_thing_is_done() {
        let mut course = course(Vec::new());
        let times = |course: &Course| Refusals::of(course).times().collect::<Vec<_>>();
        assert_eq!(times(&course), [(ms(1000), ms(30_000))]);
        course.injections.push(Injection { begun: ms(15_000), ..Injection::default() });
        assert_eq!(times(&course), [(ms(1000), ms(15_000))]);
        course.injections[1].begun = Duration::ZERO;
        assert_eq!(times(&course), [(ms(1000), ms(30_000))]);
        course.injections[1].begun = ms(900);
        course.injections.push(Injection { begun: ms(20_000), ..Injection::default() });
        assert_eq!(times(&course), [(ms(1000), ms(20_000))]);
        course.injections[0].expect = Expect::Serve;
        assert!(Refusals::of(&course).is_empty());
    }
}
