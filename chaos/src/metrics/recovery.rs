//! When users were served again.

use std::collections::BTreeMap;
use std::time::Duration;

use topology::CellId;

use super::{HELD, Measure, Measured, Value};
use crate::course::Course;
use crate::fault::Injection;
use crate::history::{Event, Kind, Operation};

const WINDOW: Duration = Duration::from_secs(1);
/// Out of this many requests one may go wrong.
const OF: usize = 100;
/// A wait that a user does not take for a failure.
const GAP: Duration = Duration::from_millis(500);

/// Returns what is measured from the moment the fault took effect. `hit` are the requests to the
/// cells it was aimed at, but for those that had ended before. Reads that a standby may answer are left
/// out: they need no recovery.
pub(super) fn measures(
    course: &Course,
    injection: &Injection,
    hit: &[&Operation],
) -> BTreeMap<Measure, Measured> {
    let begun = injection.begun;
    let observed: Vec<&Operation> = hit
        .iter()
        .copied()
        .filter(|operation| operation.kind != Kind::WeakRead)
        .filter(|operation| course.healed.is_none_or(|healed| operation.intended < healed))
        .collect();
    let longest = observed.iter().filter(|op| op.is_ok()).map(|op| op.latency()).max();
    let since = |at: Option<Duration>| at.map(|at| at.saturating_sub(begun));
    let mut measured = BTreeMap::from([
        (Measure::LongestHold, Measured::Got(Value::Time(longest.unwrap_or_default()))),
        (Measure::RecoverAllUsers, since(recover_all_users(&observed, begun)).into()),
    ]);

    let mut recovered = Some(begun);
    let mut first = Some(begun);
    let mut first_strong = Some(begun);
    for cell in injection.cells.keys() {
        let of_cell: Vec<&Operation> =
            observed.iter().copied().filter(|op| course.cell_of(op) == cell).collect();
        let success = first_success(&of_cell, injection.ended);
        first = first.max_some(success);
        let strong: Vec<&Operation> =
            of_cell.iter().copied().filter(|op| op.kind.is_strong_write()).collect();
        first_strong = first_strong.max_some(first_success(&strong, injection.ended));
        recovered = recovered.max_some(recover_99(&of_cell, begun, success));
    }
    measured.insert(Measure::FirstSuccess, since(first).into());
    measured.insert(Measure::FirstStrongAck, since(first_strong).into());
    measured.insert(Measure::Recover99, since(recovered).into());

    let after_heal = course.healed.map(|healed| recover_after_heal(course, injection, hit, healed));
    measured.insert(Measure::RecoverAfterHeal, after_heal.unwrap_or(Measured::Unseen));

    let event = |names: &[&str]| {
        let cells = injection.cells.keys();
        let firsts = cells.map(|cell| first_event(&course.events, cell, names, begun));
        let slowest = firsts.flatten().max();
        slowest.map_or(Measured::Unseen, |at| since(Some(at)).into())
    };
    measured.insert(Measure::Detect, event(&["lease-lost", "electing", "site-down", "switching"]));
    measured.insert(Measure::Promote, event(&["promoting"]));
    measured.insert(Measure::Publish, event(&["steady"]));
    let votes = injection.cells.keys().filter_map(|cell| {
        let electing = first_event(&course.events, cell, &["electing"], begun)?;
        let promoting = first_event(&course.events, cell, &["promoting"], electing)?;
        Some(promoting.saturating_sub(electing))
    });
    let vote = votes.max().map_or(Measured::Unseen, |vote| Measured::Got(Value::Time(vote)));
    measured.insert(Measure::Vote, vote);
    measured
}

/// Those who waited and came again meet those who come as always: only what is asked for from healing on
/// says whether the cells bear it.
fn recover_after_heal(
    course: &Course,
    injection: &Injection,
    hit: &[&Operation],
    healed: Duration,
) -> Measured {
    let mut recovered = Some(healed);
    for cell in injection.cells.keys() {
        let is_of_cell = |op: &&Operation| op.intended >= healed && course.cell_of(op) == cell;
        let of_cell: Vec<&Operation> = hit.iter().copied().filter(is_of_cell).collect();
        let success = first_success(&of_cell, healed);
        recovered = recovered.max_some(recover_99(&of_cell, healed, success));
    }
    recovered.map(|at| at.saturating_sub(healed)).into()
}

trait MaxSome {
    /// The later of both; never, if either is never.
    fn max_some(self, other: Self) -> Self;
}

impl MaxSome for Option<Duration> {
    fn max_some(self, other: Self) -> Self {
        self.zip(other).map(|(one, other)| one.max(other))
    }
}

/// Returns the earliest moment from which every second's requests, by the time they were due, were
/// answered within [`HELD`] but for one in a hundred; never before anybody was served. `None` if
/// that moment did not come.
fn recover_99(
    operations: &[&Operation],
    begun: Duration,
    first_success: Option<Duration>,
) -> Option<Duration> {
    let mut due: Vec<&Operation> = operations.to_vec();
    due.sort_by_key(|operation| operation.intended);
    let is_bad = |operation: &&Operation| !operation.is_ok() || operation.latency() > HELD;
    let mut end = due.len();
    let mut bad = 0;
    for start in (0..due.len()).rev() {
        bad += usize::from(is_bad(&due[start]));
        while end > start && due[end - 1].intended >= due[start].intended + WINDOW {
            end -= 1;
            bad -= usize::from(is_bad(&due[end]));
        }
        if bad * OF > end - start {
            let next = due.get(start + 1)?;
            return first_success.map(|success| success.max(next.intended));
        }
    }
    first_success.map(|_| begun)
}

/// Returns when the first request was answered well that was sent, or sent again, after `from`.
pub(crate) fn first_success(operations: &[&Operation], from: Duration) -> Option<Duration> {
    let asked_after = operations.iter().filter(|op| op.is_vouched_for() && op.asked() >= from);
    asked_after.map(|operation| operation.ended).min()
}

/// Returns the end of the last wait of the user whose last wait ended last: a wait is a failed
/// request until the next good answer, or a good answer that came late.
fn recover_all_users(operations: &[&Operation], begun: Duration) -> Option<Duration> {
    let mut users: BTreeMap<usize, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        users.entry(operation.user).or_default().push(operation);
    }
    users
        .values()
        .map(|of_user| end_of_waits(of_user, begun))
        .try_fold(begun, |last, end| end.map(|end| end.max(last)))
}

fn end_of_waits(of_user: &[&Operation], begun: Duration) -> Option<Duration> {
    let late = of_user.iter().filter(|op| op.is_ok() && op.latency() > GAP).map(|op| op.ended);
    let last_failed = of_user.iter().filter(|op| !op.is_ok()).map(|op| op.intended).max();
    let served_again = match last_failed {
        None => begun,
        Some(failed) => of_user
            .iter()
            .filter(|op| op.is_ok() && op.intended > failed)
            .map(|op| op.ended)
            .min()?,
    };
    Some(late.max().unwrap_or(begun).max(served_again))
}

fn first_event(
    events: &[Event],
    cell: &CellId,
    names: &[&str],
    from: Duration,
) -> Option<Duration> {
    let of_cell = events.iter().filter(|event| event.cell == *cell && event.at >= from);
    of_cell.filter(|event| names.contains(&event.name.as_str())).map(|event| event.at).min()
}
