//! What each cell's users get, second by second: the difference between two looks at the counts that
//! are kept anyway, so that no request pays for it.

use std::collections::BTreeMap;

use prometheus::core::Collector as _;
use prometheus::proto::{LabelPair, Metric};
use topology::wire::report::TrafficSecond;

use super::{Attempt, Metrics, REQUEST_BUCKETS};

/// Seconds kept for a report that cannot be delivered, so that they are not all of the past then.
const KEPT: usize = 10;
const MS_PER_SECOND: f64 = 1000.0;

/// What has been counted since the last report.
#[derive(Default)]
pub(crate) struct Traffic {
    counted: Option<BTreeMap<String, Counts>>,
    seconds: BTreeMap<String, Vec<TrafficSecond>>,
}

/// Of one cell, since the router started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    failed: u64,
    unreachable: u64,
    /// How many took no longer than each of the buckets' bounds, and how many there were.
    within: [u64; REQUEST_BUCKETS.len()],
    requests: u64,
}

impl Traffic {
    /// Ends a second.
    pub(crate) fn tick(&mut self, metrics: &Metrics) {
        let counts = metrics.counts();
        let Some(before) = self.counted.replace(counts.clone()) else { return };
        for (cell, now) in counts {
            let second = now.since(&before.get(&cell).cloned().unwrap_or_default());
            let seconds = self.seconds.entry(cell).or_default();
            if seconds.len() == KEPT {
                seconds.remove(0);
            }
            seconds.push(second);
        }
    }

    /// Returns the seconds since the last report, of the cells with any traffic.
    pub(crate) fn take(&mut self) -> BTreeMap<String, Vec<TrafficSecond>> {
        let mut seconds = std::mem::take(&mut self.seconds);
        seconds
            .retain(|_, seconds| seconds.iter().any(|second| *second != TrafficSecond::default()));
        seconds
    }
}

impl Counts {
    fn since(&self, before: &Self) -> TrafficSecond {
        let requests = self.requests.saturating_sub(before.requests);
        let within = |index: usize| self.within[index].saturating_sub(before.within[index]);
        let median = (0..REQUEST_BUCKETS.len()).find(|index| within(*index) * 2 >= requests);
        // What took longer than the last bound is told as that.
        let median = median.unwrap_or(REQUEST_BUCKETS.len() - 1);
        TrafficSecond {
            requests,
            failed: self.failed.saturating_sub(before.failed),
            unreachable: self.unreachable.saturating_sub(before.unreachable),
            median_ms: if requests == 0 { 0 } else { millis(REQUEST_BUCKETS[median]) },
        }
    }
}

impl Metrics {
    /// Adds up what is counted by cell, method and status.
    fn counts(&self) -> BTreeMap<String, Counts> {
        let mut cells: BTreeMap<String, Counts> = BTreeMap::new();
        for family in self.requests.collect() {
            for metric in family.get_metric() {
                let Some(cell) = label(metric, "cell").filter(|cell| *cell != "none") else {
                    continue;
                };
                let counts = cells.entry(cell.to_owned()).or_default();
                let histogram = metric.get_histogram();
                counts.requests += histogram.get_sample_count();
                let status = label(metric, "http_response_status_code").unwrap_or_default();
                if status.starts_with('5') {
                    counts.failed += histogram.get_sample_count();
                }
                for (sum, bucket) in counts.within.iter_mut().zip(histogram.get_bucket()) {
                    *sum += bucket.cumulative_count();
                }
            }
        }
        for (cell, counts) in &mut cells {
            let outcome = Attempt::Unreachable.as_str();
            counts.unreachable = self.attempts.with_label_values(&[cell.as_str(), outcome]).get();
        }
        cells
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    let label = metric.get_label().iter().find(|label| label.name() == name);
    label.map(LabelPair::value)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the bounds are constants between 5 ms and 10 s"
)]
fn millis(seconds: f64) -> u64 {
    (seconds * MS_PER_SECOND) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_what_was_counted_in_it() {
        let before = Counts { requests: 100, failed: 1, unreachable: 0, within: [100; 14] };
        let mut now = Counts { requests: 110, failed: 4, unreachable: 2, within: [104; 14] };
        // Six of ten took more than 250 ms and less than half a second.
        now.within[7..].fill(110);
        let second = TrafficSecond { requests: 10, failed: 3, unreachable: 2, median_ms: 500 };
        assert_eq!(now.since(&before), second);
        assert_eq!(now.since(&now), TrafficSecond::default());
    }
}
