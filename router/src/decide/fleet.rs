//! How many routers live, by what they report: each takes that part of what a cell may be asked.
//!
//! A report lives while its sequence changes by this router's own clock. While nothing can be read
//! the last number stands, and what is read after a gap has had no chance to change: it counts as
//! new.
//!
//! Times are durations since the router started.

use std::collections::BTreeMap;
use std::time::Duration;

/// Five reports: fewer could be lost in a change of etcd's leader.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Fleet {
    seen: BTreeMap<String, Seen>,
    last: Duration,
}

#[derive(Debug)]
struct Seen {
    sequence: u64,
    changed: Duration,
}

impl Fleet {
    /// Takes in every router's last sequence, and returns how many live; this one always does.
    pub(crate) fn saw(&mut self, reports: BTreeMap<String, u64>, now: Duration) -> u32 {
        let is_after_gap = now.saturating_sub(self.last) > SILENCE;
        self.last = now;
        let before = std::mem::take(&mut self.seen);
        for (router, sequence) in reports {
            let changed = match before.get(&router) {
                Some(seen) if seen.sequence == sequence && !is_after_gap => seen.changed,
                Some(_) | None => now,
            };
            self.seen.insert(router, Seen { sequence, changed });
        }
        let live =
            self.seen.values().filter(|seen| now.saturating_sub(seen.changed) <= SILENCE).count();
        u32::try_from(live).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_lives_while_its_reports_change() {
        check(
            &[("a1 b1", 0), ("a2 b1", 5), ("a3 b1", 10), ("a4 b1", 11), ("a5 b2", 12)],
            &[2, 2, 2, 1, 2],
        );
    }

    #[test]
    fn a_gap_in_reading_kills_nobody() {
        check(&[("a1 b1", 0), ("a1 b1", 60), ("a2 b1", 69), ("a3 b1", 71)], &[2, 2, 2, 1]);
    }

    #[test]
    fn a_router_that_sees_nobody_counts_itself() {
        check(&[("", 0)], &[1]);
    }

    /// Each reading as `router sequence …` and its second; the number that live after each.
    #[track_caller]
    fn check(readings: &[(&str, u64)], expected: &[u32]) {
        let mut fleet = Fleet::default();
        let counts: Vec<u32> = readings
            .iter()
            .map(|(reading, second)| {
                let reports = reading.split_whitespace().map(|report| {
                    let (router, sequence) = report.split_at(1);
                    (router.to_owned(), sequence.parse().unwrap())
                });
                fleet.saw(reports.collect(), Duration::from_secs(*second))
            })
            .collect();
        assert_eq!(counts, expected);
    }
}
