//! The numbers of a run; each is defined where it is computed.
//!
//! Pure: a [`Course`] in, numbers out.

mod moves;
mod recovery;
mod served;
mod streams;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use topology::CellId;

use crate::check::{lost_strong, lost_weak};
use crate::course::{Course, Tally};
use crate::history::{Operation, Outcome};
use crate::refusals::Refusals;

pub(crate) use recovery::first_success;
pub(crate) use served::{Held, Quantiles};

/// A request that waited longer than this was held: answered, but the user noticed.
pub(crate) const HELD: Duration = Duration::from_secs(1);

/// What a drill may claim something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// From then on 99 % of the requests of each second were answered within [`HELD`]; the worst of
    /// the cells the fault was aimed at.
    Recover99,
    /// The last user's last wait had ended.
    RecoverAllUsers,
    FirstSuccess,
    /// The same, of tickets alone: what is acknowledged from here on is on a standby's disk, too.
    FirstStrongAck,
    Detect,
    /// From when the cell began to elect to when it had a winner; the slowest of the cells.
    Vote,
    Promote,
    Publish,
    LongestHold,
    /// Of the cells the fault was aimed at, but for [`Measure::RefusedAsExpected`].
    Failed,
    /// Refused as they should be while writes were to be refused.
    RefusedAsExpected,
    OtherCellsFailed,
    FailedAfterHeal,
    AckedStrongLost,
    AckedWeakLost,
    /// From the first acknowledged message that is lost to the fault that lost it: how much of the past is gone.
    WeakLossSeconds,
    /// How often a user's stream of their conversation was opened again.
    StreamsReopened,
    /// The longest time from a stream's end to when it was open again.
    LongestStreamPause,
    /// Acknowledged messages that are there, and that a stream did not tell: it had told a lost one under
    /// their number.
    UnheardAfterLoss,
    /// How often a cell went on in another region.
    Moves,
    /// By how much the cells' epochs have grown: a failover that nobody needed is seen here.
    EpochsChanged,
    /// How often a site's database was rewound or copied anew: a planned move needs neither.
    Rebuilt,
    RedundancyRestored,
    /// The same as [`Measure::Recover99`], from when the fault was taken away.
    RecoverAfterHeal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Time,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Time(Duration),
    Count(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    Got(Value),
    /// It did not happen while anybody looked.
    Never,
    /// Nothing shows it: not every fault leads to every event.
    Unseen,
}

impl Measure {
    pub(crate) const ALL: [Self; 24] = [
        Self::Recover99,
        Self::RecoverAllUsers,
        Self::FirstSuccess,
        Self::FirstStrongAck,
        Self::Detect,
        Self::Vote,
        Self::Promote,
        Self::Publish,
        Self::LongestHold,
        Self::Failed,
        Self::RefusedAsExpected,
        Self::OtherCellsFailed,
        Self::FailedAfterHeal,
        Self::AckedStrongLost,
        Self::AckedWeakLost,
        Self::WeakLossSeconds,
        Self::StreamsReopened,
        Self::LongestStreamPause,
        Self::UnheardAfterLoss,
        Self::Moves,
        Self::EpochsChanged,
        Self::Rebuilt,
        Self::RedundancyRestored,
        Self::RecoverAfterHeal,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recover99 => "recover-99",
            Self::RecoverAllUsers => "recover-all-users",
            Self::FirstSuccess => "first-success",
            Self::FirstStrongAck => "first-strong-ack",
            Self::Detect => "detect",
            Self::Vote => "vote",
            Self::Promote => "promote",
            Self::Publish => "publish",
            Self::LongestHold => "longest-hold",
            Self::Failed => "failed",
            Self::RefusedAsExpected => "refused-as-expected",
            Self::OtherCellsFailed => "other-cells-failed",
            Self::FailedAfterHeal => "failed-after-heal",
            Self::AckedStrongLost => "acked-strong-lost",
            Self::AckedWeakLost => "acked-weak-lost",
            Self::WeakLossSeconds => "weak-loss-seconds",
            Self::StreamsReopened => "streams-reopened",
            Self::LongestStreamPause => "longest-stream-pause",
            Self::UnheardAfterLoss => "unheard-after-loss",
            Self::Moves => "moves",
            Self::EpochsChanged => "epochs-changed",
            Self::Rebuilt => "rebuilt",
            Self::RedundancyRestored => "redundancy-restored",
            Self::RecoverAfterHeal => "recover-after-heal",
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::Recover99
            | Self::RecoverAllUsers
            | Self::FirstSuccess
            | Self::FirstStrongAck
            | Self::Detect
            | Self::Vote
            | Self::WeakLossSeconds
            | Self::Promote
            | Self::Publish
            | Self::LongestHold
            | Self::LongestStreamPause
            | Self::RedundancyRestored
            | Self::RecoverAfterHeal => Unit::Time,
            Self::Failed
            | Self::RefusedAsExpected
            | Self::OtherCellsFailed
            | Self::FailedAfterHeal
            | Self::AckedStrongLost
            | Self::AckedWeakLost
            | Self::StreamsReopened
            | Self::UnheardAfterLoss
            | Self::Moves
            | Self::EpochsChanged
            | Self::Rebuilt => Unit::Count,
        }
    }

    /// Whether it is the time to something that a control plane does and says.
    pub(crate) fn is_event(self) -> bool {
        matches!(self, Self::Detect | Self::Vote | Self::Promote | Self::Publish)
    }

    /// Whether exceeding it means that data is not safe, rather than not at hand.
    pub(crate) fn is_safety(self) -> bool {
        matches!(self, Self::AckedStrongLost)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) if *time < Duration::from_secs(1) => {
                write!(f, "{} ms", time.as_millis())
            }
            Self::Time(time) => write!(f, "{:.2} s", time.as_secs_f64()),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Got(value) => value.fmt(f),
            Self::Never => f.write_str("never"),
            Self::Unseen => f.write_str("not seen"),
        }
    }
}

impl From<Option<Duration>> for Measured {
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::Never, |time| Self::Got(Value::Time(time)))
    }
}

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
