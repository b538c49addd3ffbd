//! What each cell's users get, second by second: the difference between two looks at the counts that
//! are kept anyway, so that no request pays for it.

use std::collections::{BTreeMap, VecDeque};

use prometheus::core::Collector as _;
use prometheus::proto::{LabelPair, Metric};
use topology::wire::report::TrafficSecond;

use super::{Attempt, Metrics, REQUEST_BUCKETS};

/// Seconds kept for a report that cannot be delivered: as many as are looked at together.
const KEPT: usize = 10;
const MS_PER_SECOND: f64 = 1000.0;

/// What has been counted and not been told yet.
#[derive(Default)]
pub(crate) struct Traffic {
    counted: Option<BTreeMap<String, Counts>>,
    /// The oldest first.
    seconds: VecDeque<BTreeMap<String, TrafficSecond>>,
    /// How many of the oldest are in the report with this sequence.
    told: usize,
    sequence: u64,
}

/// What goes into a report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) sequence: u64,
    /// Of the cells with any.
    pub(crate) traffic: BTreeMap<String, Vec<TrafficSecond>>,
}

/// Of one cell, since the router started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    failed: u64,
    unreachable: u64,
    /// How many took no longer than each of the buckets' bounds, and how many there were.
    within: [u64; REQUEST_BUCKETS.len()],
    requests: u64,
}

impl Traffic {
    /// Ends a second.
    pub(crate) fn tick(&mut self, counts: BTreeMap<String, Counts>) {
        let Some(before) = self.counted.replace(counts) else { return };
        let second = self.counted.iter().flatten().map(|(cell, now)| {
            (cell.clone(), now.since(&before.get(cell).cloned().unwrap_or_default()))
        });
        self.seconds.push_back(second.collect());
        if self.seconds.len() > KEPT {
            self.seconds.pop_front();
            self.told = self.told.saturating_sub(1);
        }
    }

    /// Returns what to tell. Until it is delivered it is told again under the same sequence, so that
    /// no second counts twice where only etcd's word was lost.
    pub(crate) fn tell(&mut self) -> Told {
        if self.told == 0 {
            self.sequence += 1;
            self.told = self.seconds.len();
        }
        let mut traffic: BTreeMap<String, Vec<TrafficSecond>> = BTreeMap::new();
        for (cell, second) in self.seconds.iter().take(self.told).flatten() {
            traffic.entry(cell.clone()).or_default().push(*second);
        }
        traffic
            .retain(|_, seconds| seconds.iter().any(|second| *second != TrafficSecond::default()));
        Told { sequence: self.sequence, traffic }
    }

    /// Forgets what was told last: it has arrived.
    pub(crate) fn delivered(&mut self) {
        self.seconds.drain(..self.told);
        self.told = 0;
    }
}

impl Counts {
    fn since(&self, before: &Self) -> TrafficSecond {
        let requests = self.requests.saturating_sub(before.requests);
        TrafficSecond {
            requests,
            failed: self.failed.saturating_sub(before.failed),
            unreachable: self.unreachable.saturating_sub(before.unreachable),
            median_ms: self.median(before, requests),
        }
    }

    /// Returns what half of these requests took at most: as far into its bucket as there are requests in it
    /// up to there, as `histogram_quantile` of Prometheus has it. What took longer than the last bound is told
    /// as that.
    fn median(&self, before: &Self, requests: u64) -> u64 {
        let within = |index: usize| self.within[index].saturating_sub(before.within[index]);
        let Some(index) = (0..REQUEST_BUCKETS.len()).find(|index| within(*index) * 2 >= requests)
        else {
            return millis(REQUEST_BUCKETS[REQUEST_BUCKETS.len() - 1]);
        };
        let (below, least) = match index.checked_sub(1) {
            Some(before) => (within(before), REQUEST_BUCKETS[before]),
            None => (0, 0.0),
        };
        let inside = within(index).saturating_sub(below);
        if inside == 0 {
            return 0;
        }
        let part = (count(requests) / 2.0 - count(below)) / count(inside);
        millis(least + (REQUEST_BUCKETS[index] - least) * part)
    }
}

impl Metrics {
    /// Adds up what is counted by cell, method and status.
    pub(crate) fn counts(&self) -> BTreeMap<String, Counts> {
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

#[expect(clippy::cast_precision_loss, reason = "the requests of a second")]
fn count(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between nothing and the last bound, which is 10 s"
)]
fn millis(seconds: f64) -> u64 {
    (seconds * MS_PER_SECOND).round() as u64
}

/// Counts of a cell with so many requests, for tests.
#[cfg(test)]
pub(crate) fn counted(cell: &str, requests: u64) -> BTreeMap<String, Counts> {
    BTreeMap::from([(cell.to_owned(), Counts { requests, ..Counts::default() })])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_what_was_counted_in_it() {
        let before = Counts { requests: 100, failed: 1, unreachable: 0, within: [100; 14] };
        let mut now = Counts { requests: 110, failed: 4, unreachable: 2, within: [104; 14] };
        // Six of ten took more than 250 ms and less than half a second: a sixth of those is before the half.
        now.within[7..].fill(110);
        let second = TrafficSecond { requests: 10, failed: 3, unreachable: 2, median_ms: 292 };
        assert_eq!(now.since(&before), second);
        assert_eq!(now.since(&now), TrafficSecond::default());
    }

    #[test]
    fn half_of_the_requests_took_no_longer_than_is_told() {
        // Of four requests, so many took no longer than each bound.
        for (within, told) in [
            ([4; 14], 3),
            ([0; 14], 10_000),
            ([0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4], 175),
            ([0, 0, 0, 0, 0, 2, 4, 4, 4, 4, 4, 4, 4, 4], 100),
            ([0, 0, 0, 0, 0, 1, 2, 4, 4, 4, 4, 4, 4, 4], 250),
        ] {
            let now = Counts { requests: 4, within, ..Counts::default() };
            assert_eq!(now.since(&Counts::default()).median_ms, told, "{within:?}");
        }
    }

    #[test]
    fn a_report_that_was_not_delivered_is_told_again_as_it_was() {
        let mut traffic = Traffic::default();
        ticks(&mut traffic, 0..3);
        let first = traffic.tell();
        assert_eq!((first.sequence, requests(&first)), (1, vec![1, 2]));
        ticks(&mut traffic, 3..5);
        assert_eq!(traffic.tell(), first);
        traffic.delivered();
        let second = traffic.tell();
        assert_eq!((second.sequence, requests(&second)), (2, vec![3, 4]));
    }

    #[test]
    fn only_the_last_ten_seconds_are_kept_for_when_etcd_is_back() {
        let mut traffic = Traffic::default();
        ticks(&mut traffic, 0..3);
        assert_eq!(requests(&traffic.tell()), [1, 2]);
        ticks(&mut traffic, 3..12);
        let last = traffic.tell();
        assert_eq!((last.sequence, requests(&last)), (1, vec![2]), "the first of two is too old");
        ticks(&mut traffic, 12..60);
        let last = traffic.tell();
        assert_eq!((last.sequence, requests(&last)), (2, (50..60).collect()));
    }

    #[test]
    fn a_second_that_ends_while_a_report_is_under_way_is_not_taken_for_told() {
        let mut traffic = Traffic::default();
        ticks(&mut traffic, 0..2);
        assert_eq!(requests(&traffic.tell()), [1]);
        ticks(&mut traffic, 2..3);
        traffic.delivered();
        assert_eq!(requests(&traffic.tell()), [2]);
    }

    #[test]
    fn a_cell_without_traffic_is_left_out() {
        let mut traffic = Traffic::default();
        ticks(&mut traffic, 0..1);
        traffic.tick(counted("c1", 0));
        assert_eq!(traffic.tell().traffic, BTreeMap::new());
    }

    /// Ends these seconds, in each of which there are as many requests as its number.
    fn ticks(traffic: &mut Traffic, seconds: std::ops::Range<u64>) {
        for second in seconds {
            traffic.tick(counted("c1", second * (second + 1) / 2));
        }
    }

    fn requests(told: &Told) -> Vec<u64> {
        told.traffic.get("c1").into_iter().flatten().map(|second| second.requests).collect()
    }
}
