//! Runs a schedule to its end, and makes one that fails as small as it can be.

use std::rc::Rc;

use topology::invariant::{Invariant, Violation};

use super::Sim;
use super::checker::Counts;
use super::sabotage::Sabotage;
use super::schedule::Schedule;

const MS: u64 = 1_000_000;
/// How long after the last fault the cell may take until it answers strong writes again: a voter
/// that has to be rebuilt notices so after eight seconds, one that is away is let go after ten.
const HEALED_WITHIN: u64 = 40_000 * MS;

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Broken(Violation),
    /// The cell does not serve, though nothing is wrong any more.
    Stuck,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub failure: Option<Failure>,
    pub counts: Counts,
    /// Between the last fault's end and the first strong write after it, in milliseconds.
    pub back_after: u64,
    pub virtual_ms: u64,
    pub polls: u64,
    pub trace: Vec<String>,
}

/// Runs one schedule.
#[must_use]
pub fn run(schedule: &Schedule, sabotage: Option<Sabotage>, trace: bool) -> Outcome {
    let sim = Sim::new(schedule.seed, sabotage, trace);
    sim.start();
    for fault in &schedule.faults {
        sim.plan(*fault);
    }
    let ends = schedule.ends * MS;
    let broken = Rc::clone(&sim);
    sim.exec.run(ends, || broken.checker.borrow().violation.is_some());
    sim.checker.borrow_mut().healed = Some(ends);
    let over = Rc::clone(&sim);
    sim.exec.run(ends + HEALED_WITHIN, || {
        let checker = over.checker.borrow();
        checker.violation.is_some() || checker.served_again.is_some()
    });
    sim.check_history();
    let (violation, counts, served) = {
        let checker = sim.checker.borrow();
        (checker.violation.clone(), checker.counts, checker.served_again)
    };
    let stuck = served.is_none().then_some(Failure::Stuck);
    Outcome {
        failure: violation.map(Failure::Broken).or(stuck),
        counts,
        back_after: served.map_or(0, |at| (at - ends) / MS),
        virtual_ms: sim.exec.now() / MS,
        polls: sim.exec.polls(),
        trace: sim.end(),
    }
}

/// Leaves faults out for as long as it fails in the same way.
#[must_use]
pub fn shrink(schedule: &Schedule, sabotage: Option<Sabotage>) -> Schedule {
    let kind = |failure: &Option<Failure>| match failure {
        Some(Failure::Broken(violation)) => Some(Some(violation.invariant)),
        Some(Failure::Stuck) => Some(None::<Invariant>),
        None => None,
    };
    let wanted = kind(&run(schedule, sabotage, false).failure);
    let mut smallest = schedule.clone();
    let mut index = 0;
    while index < smallest.faults.len() {
        let smaller = smallest.without(index);
        if kind(&run(&smaller, sabotage, false).failure) == wanted {
            smallest = smaller;
            index = 0;
        } else {
            index += 1;
        }
    }
    smallest
}
