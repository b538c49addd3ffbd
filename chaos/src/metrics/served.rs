//! How those were served who were.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use topology::CellId;

use super::HELD;
use crate::course::Course;
use crate::history::Operation;

/// How many requests have a 99th percentile.
const ENOUGH: usize = 100;

/// Requests that waited long, yet were answered.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub(crate) count: usize,
    pub(crate) median: Duration,
    pub(crate) longest: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) p50_us: u128,
    pub(crate) p99_us: u128,
    pub(crate) max_us: u128,
}

pub(super) fn held(operations: &[&Operation]) -> Held {
    let mut waits: Vec<Duration> = operations
        .iter()
        .filter(|operation| operation.is_ok())
        .map(|operation| operation.latency())
        .filter(|latency| *latency > HELD)
        .collect();
    Held {
        count: waits.len(),
        median: quantile(&mut waits, 0.5),
        longest: waits.last().copied().unwrap_or_default(),
    }
}

/// Returns by how much the 99th percentile of answered requests grew; nothing where there were too few on a
/// side for a hundredth of them to be anything.
pub(super) fn added_p99<'a>(
    before: impl Iterator<Item = &'a Operation>,
    under_fault: impl Iterator<Item = &'a Operation>,
) -> Option<Duration> {
    let p99 = |mut latencies: Vec<Duration>| {
        (latencies.len() >= ENOUGH).then(|| quantile(&mut latencies, 0.99))
    };
    let before = before.filter(|op| op.is_ok()).map(Operation::latency).collect();
    let under_fault = under_fault.filter(|op| op.is_ok()).map(Operation::latency).collect();
    Some(p99(under_fault)?.saturating_sub(p99(before)?))
}

/// Returns the latencies of answered requests per cell, before and after `begun`.
pub(super) fn by_cell(
    course: &Course,
    begun: Duration,
) -> BTreeMap<CellId, (Quantiles, Quantiles)> {
    let mut cells: BTreeMap<CellId, (Vec<Duration>, Vec<Duration>)> = BTreeMap::new();
    for operation in course.operations.iter().filter(|operation| operation.is_ok()) {
        let (before, after) = cells.entry(course.cell_of(operation).clone()).or_default();
        let side = if operation.ended < begun { before } else { after };
        side.push(operation.latency());
    }
    cells
        .into_iter()
        .map(|(cell, (before, after))| (cell, (quantiles(before), quantiles(after))))
        .collect()
}

fn quantiles(mut latencies: Vec<Duration>) -> Quantiles {
    Quantiles {
        count: latencies.len(),
        p50_us: quantile(&mut latencies, 0.5).as_micros(),
        p99_us: quantile(&mut latencies, 0.99).as_micros(),
        max_us: latencies.last().copied().unwrap_or_default().as_micros(),
    }
}

/// Returns the smallest value that this share of them does not exceed, and leaves them sorted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank in a list that fits in memory"
)]
pub(super) fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
