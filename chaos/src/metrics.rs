//! The numbers of a run; each is defined where it is computed.
//!
//! Pure: a [`Course`] in, numbers out.

mod cut_short;
mod measure;
mod moves;
mod recovery;
mod restored;
mod served;
mod streams;

use std::collections::BTreeMap;
use std::time::Duration;

use topology::CellId;

use crate::check::{lost_strong, lost_weak};
use crate::course::{Course, Tally};
use crate::history::{Operation, Outcome};
use crate::refusals::Refusals;
use cut_short::is_cut_short;

pub(crate) use measure::{Measure, Measured, Unit, Value};
pub(crate) use recovery::first_success;
pub(crate) use served::{Held, Quantiles};

/// A request that waited longer than this was held: answered, but the user noticed.
pub(crate) const HELD: Duration = Duration::from_secs(1);

/// Everything that was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metrics {
    pub(crate) measured: BTreeMap<Measure, Measured>,
    pub(crate) operations: usize,
    /// How often one of them was sent again.
    pub(crate) retries: u64,
    pub(crate) before: usize,
    pub(crate) in_window: usize,
    /// Share of the baseline's requests that were answered.
    pub(crate) ok_before: f64,
    /// Failed or unknown requests after the fault took effect, on the cells it was aimed at.
    pub(crate) failed_by_class: BTreeMap<String, u64>,
    /// The same on all other cells.
    pub(crate) others_failed_by_class: BTreeMap<String, u64>,
    pub(crate) held: Held,
    pub(crate) lag_p99: Duration,
    /// Latencies of answered requests per cell, before and after the fault took effect.
    pub(crate) cells: BTreeMap<CellId, (Quantiles, Quantiles)>,
}

/// Returns the numbers of a run.
pub(crate) fn metrics(course: &Course) -> Metrics {
    let begun = course.begun().unwrap_or(Duration::MAX);
    let observed = course.healed.unwrap_or(Duration::MAX);
    let affected = course.affected();
    // What was still under way when the fault took effect felt it.
    let (before, after): (Vec<&Operation>, Vec<&Operation>) =
        course.operations.iter().partition(|operation| operation.ended < begun);
    let (hit, others): (Vec<&Operation>, Vec<&Operation>) =
        after.iter().partition(|operation| affected.contains(course.cell_of(operation)));
    let in_window = after.iter().filter(|operation| operation.intended < observed).count();

    let mut measured = BTreeMap::new();
    if let Some(fault) = &course.fault() {
        measured.extend(recovery::measures(course, fault, &hit));
        if course.is_repeated {
            let others = measured.iter_mut().filter(|(name, _)| **name != Measure::LongestHold);
            others.for_each(|(_, measured)| *measured = Measured::Unseen);
        }
    }
    let counted = |count: usize| Measured::Got(Value::Count(count as u64));
    let refusals = Refusals::of(course);
    let failed = |operations: &[&Operation]| {
        let failed = operations.iter().filter(|op| !op.is_ok() && !refusals.expect(course, op));
        counted(failed.count())
    };
    if !refusals.is_empty() {
        let refused = hit.iter().filter(|op| refusals.expect(course, op)).count();
        measured.insert(Measure::RefusedAsExpected, counted(refused));
    }
    let after_heal: Vec<&Operation> =
        after.iter().copied().filter(|operation| operation.intended >= observed).collect();
    measured.insert(Measure::Failed, failed(&hit));
    let before_there = before.iter().filter(|op| affected.contains(course.cell_of(op)));
    let under_fault = hit.iter().filter(|op| op.intended >= begun && op.intended < observed);
    let added = served::added_p99(before_there.copied(), under_fault.copied());
    let added = added.map_or(Measured::Unseen, |added| Measured::Got(Value::Time(added)));
    measured.insert(Measure::AddedP99, added);
    if course.injections.iter().any(|injection| !injection.kills.is_empty()) {
        let others: Vec<&Operation> =
            hit.iter().copied().filter(|op| !is_cut_short(course, op)).collect();
        measured.insert(Measure::FailedNotUnderWay, failed(&others));
    }
    measured.insert(Measure::OtherCellsFailed, failed(&others));
    measured.insert(Measure::FailedAfterHeal, failed(&after_heal));
    let count = |lost: Option<usize>| {
        lost.map_or(Measured::Unseen, |lost| Measured::Got(Value::Count(lost as u64)))
    };
    measured.insert(Measure::AckedStrongLost, count(lost_strong(course)));
    let weak = lost_weak(course);
    measured.insert(Measure::AckedWeakLost, count(weak.as_ref().map(Vec::len)));
    if let Some(weak) = weak.filter(|_| !course.injections.is_empty()) {
        let seconds = Value::Time(loss_reaches_back(course, &weak));
        measured.insert(Measure::WeakLossSeconds, Measured::Got(seconds));
    }
    measured.extend(streams::measures(course));
    measured.extend(restored::measures(&course.injections));
    let led =
        course.injections.iter().filter_map(|it| Some(it.led_again?.saturating_sub(it.begun)));
    let led = led.max().map(|led| (Measure::EtcdLedAgain, Measured::Got(Value::Time(led))));
    measured.extend(led);
    measured.insert(Measure::Moves, Measured::Got(Value::Count(moves::moves(course))));
    measured.insert(Measure::EpochsChanged, grown(course, |tally| tally.epoch.0));
    measured.insert(Measure::Rebuilt, grown(course, |tally| tally.rebuilt));
    let restored = course.healed.map(|healed| {
        Measured::from(course.redundant.map(|redundant| redundant.saturating_sub(healed)))
    });
    measured.insert(Measure::RedundancyRestored, restored.unwrap_or(Measured::Unseen));

    let mut lags = course.lags.clone();
    Metrics {
        measured,
        operations: course.operations.len(),
        retries: course.operations.iter().map(|op| u64::from(op.tries.saturating_sub(1))).sum(),
        before: before.len(),
        in_window,
        ok_before: ok_ratio(&before),
        failed_by_class: by_class(hit.iter().copied().filter(|op| !refusals.expect(course, op))),
        others_failed_by_class: by_class(others.iter().copied()),
        held: served::held(&hit),
        lag_p99: served::quantile(&mut lags, 0.99),
        cells: served::by_cell(course, begun),
    }
}

/// Of several faults, it is the first after what is lost that lost it.
fn loss_reaches_back(course: &Course, lost: &[&Operation]) -> Duration {
    let first = lost.iter().map(|operation| operation.ended).min();
    let faults = || course.injections.iter().map(|injection| injection.begun);
    let reaches_back = |first| {
        let fault = faults().find(|begun| *begun >= first)?;
        Some(fault.saturating_sub(first))
    };
    first.and_then(reaches_back).unwrap_or_default()
}

/// Returns by how much something has grown in all cells together. A cell nobody heard of in the end
/// proves nothing.
fn grown(course: &Course, of: impl Fn(&Tally) -> u64) -> Measured {
    let Some(after) = &course.after else { return Measured::Unseen };
    let grown = course
        .before
        .iter()
        .map(|(cell, before)| after.get(cell).map(|after| of(after).saturating_sub(of(before))));
    let sum: Option<u64> = grown.sum();
    sum.map_or(Measured::Unseen, |sum| Measured::Got(Value::Count(sum)))
}

/// Returns the share of requests that were answered; nothing asked is nothing answered.
pub(crate) fn ok_ratio(operations: &[&Operation]) -> f64 {
    if operations.is_empty() {
        return 0.0;
    }
    let ok = operations.iter().filter(|operation| operation.is_ok()).count();
    f64::from(u32::try_from(ok).unwrap_or(u32::MAX))
        / f64::from(u32::try_from(operations.len()).unwrap_or(u32::MAX))
}

fn by_class<'a>(operations: impl Iterator<Item = &'a Operation>) -> BTreeMap<String, u64> {
    let mut classes = BTreeMap::new();
    for operation in operations {
        let class = match &operation.outcome {
            Outcome::Ok(_) => continue,
            Outcome::Fail(failure) => failure.to_string(),
            Outcome::Unknown(failure) => format!("{failure} (unknown outcome)"),
        };
        *classes.entry(class).or_default() += 1;
    }
    classes
}

#[cfg(test)]
mod tests;
