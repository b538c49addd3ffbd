//! Every metric of this process, besides those that the kit brings.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, register_histogram,
    register_histogram_vec, register_int_counter_vec, register_int_gauge, register_int_gauge_vec,
};
use topology::CellId;
use topology::invariant::Violation;

use crate::decide::Action;
use crate::decide::verdict::Verdict;

/// Steps of a take-over, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From the last renewal seen to the decision.
    Detect,
    /// Asking the voters whether they would vote.
    Decide,
    /// Ending the old right, and freezing the votes.
    Fence,
    /// Writing who won.
    Publish,
    /// Until the winner has opened its epoch.
    Converge,
}

impl Step {
    const ALL: [Self; 5] = [Self::Detect, Self::Decide, Self::Fence, Self::Publish, Self::Converge];

    fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Decide => "decide",
            Self::Fence => "fence",
            Self::Publish => "publish",
            Self::Converge => "converge",
        }
    }
}

/// These are decided by a person; everything else by [`Action`].
pub const SWITCHOVER: &str = "switchover";
pub const FAILOVER: &str = "failover";

static DECISIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let counter = register_int_counter_vec!(
        "control_plane_decisions_total",
        "Decisions carried out or begun, by kind",
        &["action"]
    )
    .expect("registered once");
    for kind in Action::KINDS.iter().chain([&SWITCHOVER, &FAILOVER]) {
        counter.with_label_values(&[*kind]);
    }
    counter
});

/// From one etcd round trip to a cell that does not come back.
const BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let histogram = register_histogram_vec!(
        "control_plane_failover_duration_seconds",
        "How long each step of a take-over took",
        &["phase"],
        BUCKETS.to_vec()
    )
    .expect("registered once");
    for step in Step::ALL {
        histogram.with_label_values(&[step.name()]);
    }
    histogram
});

/// From a few cells to a thousand, and what is too long for them.
const LOOPS: [f64; 14] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];

static LOOK: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "control_plane_look_duration_seconds",
        "How long it took to look at every cell and decide what to do",
        LOOPS.to_vec()
    )
    .expect("registered once")
});

static READ: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "control_plane_read_duration_seconds",
        "How long it took to read everything from etcd",
        LOOPS.to_vec()
    )
    .expect("registered once")
});

static VIOLATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let counter = register_int_counter_vec!(
        "control_plane_invariant_violations_total",
        "Facts seen that must not be, by invariant",
        &["invariant"]
    )
    .expect("registered once");
    counter.with_label_values(&["I2"]);
    counter
});

static VERDICTS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "control_plane_verdict",
        "1 for what the evidence says of the cell's active site",
        &["cell", "verdict"]
    )
    .expect("registered once")
});

static FRESH: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "control_plane_vantages_fresh",
        "Vantages whose view is recent, this one's among them"
    )
    .expect("registered once")
});

static BLIND: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "control_plane_observer_blind",
        "1 while this control plane alone sees sites of several regions badly, and moves nothing"
    )
    .expect("registered once")
});

/// Shows what is made of a cell's active site.
pub fn judged(cell: &CellId, verdict: Verdict) {
    for other in Verdict::ALL {
        let value = i64::from(other == verdict);
        VERDICTS.with_label_values(&[cell.as_str(), other.name()]).set(value);
    }
}

/// Shows how many vantages there are to judge by, and whether this one is to be trusted.
pub fn observed(fresh: usize, is_blind: bool) {
    FRESH.set(i64::try_from(fresh).unwrap_or(i64::MAX));
    BLIND.set(i64::from(is_blind));
}

static DRILL_PASSED: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "control_plane_drill_passed_timestamp_seconds",
        "When a drill last passed, in seconds since 1970; 0 where none is known to have"
    )
    .expect("registered once")
});

static LAST_PASS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "control_plane_last_pass_timestamp_seconds",
        "When each drill of the suite that is followed last passed, in seconds since 1970; 0 where none is known to have",
        &["drill"]
    )
    .expect("registered once")
});

/// Which drills have a series.
static EXPECTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Shows when each drill that is expected last passed, and no other one. Only what is not expected any more is
/// taken away: whoever reads meanwhile misses none.
pub fn last_passes<'a>(passes: impl Iterator<Item = (&'a str, Option<u64>)>) {
    let mut before = EXPECTED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut now = BTreeSet::new();
    for (drill, unix_ms) in passes {
        LAST_PASS.with_label_values(&[drill]).set(seconds(unix_ms));
        now.insert(drill.to_owned());
    }
    for gone in before.difference(&now) {
        // It is there: it was shown before.
        drop(LAST_PASS.remove_label_values(&[gone.as_str()]));
    }
    *before = now;
}

fn seconds(unix_ms: Option<u64>) -> i64 {
    i64::try_from(unix_ms.unwrap_or(0) / 1000).unwrap_or(i64::MAX)
}

/// Shows when a drill last passed.
pub fn drill_passed(unix_ms: Option<u64>) {
    DRILL_PASSED.set(seconds(unix_ms));
}

/// Makes all series exist from the start.
pub fn register() {
    LazyLock::force(&VERDICTS);
    LazyLock::force(&FRESH);
    LazyLock::force(&BLIND);
    LazyLock::force(&DRILL_PASSED);
    LazyLock::force(&LAST_PASS);
    LazyLock::force(&DECISIONS);
    LazyLock::force(&DURATION);
    LazyLock::force(&LOOK);
    LazyLock::force(&READ);
    LazyLock::force(&VIOLATIONS);
}

pub fn decided(kind: &str) {
    DECISIONS.with_label_values(&[kind]).inc();
}

pub fn took(step: Step, duration: Duration) {
    DURATION.with_label_values(&[step.name()]).observe(duration.as_secs_f64());
}

/// Every cell was looked at, and what to do was decided.
pub fn looked(duration: Duration) {
    LOOK.observe(duration.as_secs_f64());
}

/// Everything was read from etcd.
pub fn read(duration: Duration) {
    READ.observe(duration.as_secs_f64());
}

pub fn violated(violation: &Violation) {
    VIOLATIONS.with_label_values(&[violation.invariant.to_string().as_str()]).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_is_not_expected_any_more_has_no_series_and_the_others_keep_theirs() {
        last_passes([("cell-loss", Some(7000)), ("renamed", None)].into_iter());
        let kept = LAST_PASS.with_label_values(&["cell-loss"]);
        last_passes([("cell-loss", Some(7000))].into_iter());
        assert!(LAST_PASS.remove_label_values(&["renamed"]).is_err(), "it is still there");
        // Of a series that was taken away and made anew this would be another gauge.
        kept.set(9);
        assert_eq!(LAST_PASS.with_label_values(&["cell-loss"]).get(), 9);
    }
}
