//! What the drills of late say: whether any has passed recently enough.

use std::time::Duration;

use tokio::time::Instant;
use topology::wire::drill::{DrillRecord, KEPT};
use topology::wire::suite::SuitePlan;

/// How long it may be since a drill passed: they are rehearsed weekly, and one day is for putting a
/// failed one right.
const EVERY: Duration = Duration::from_hours(8 * 24);

/// The runs that are kept, as they were read.
#[derive(Clone, Debug, Default)]
pub struct Drills {
    /// When they were last read; nothing before the first time.
    pub read_at: Option<Instant>,
    /// With their ids, the newest first.
    pub runs: Vec<(String, DrillRecord)>,
}

/// No drill has passed for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// When the time was up.
    pub since_unix_ms: u64,
    pub passed_unix_ms: Option<u64>,
}

impl Drills {
    #[must_use]
    pub fn passed_unix_ms(&self) -> Option<u64> {
        let passed = self.runs.iter().filter(|(_, run)| run.is_pass());
        passed.map(|(_, run)| run.ended_unix_ms).max()
    }

    /// Returns whether a pass is overdue. Where no drill was ever run, one is expected only by a plan that
    /// is followed. Where as many are kept as can be and none of them passed, the last pass is forgotten, and
    /// nobody waits longer.
    #[must_use]
    pub fn overdue(&self, plan: Option<&SuitePlan>, now_unix_ms: u64) -> Option<Overdue> {
        let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        let passed_unix_ms = self.passed_unix_ms();
        let is_cut = self.runs.len() >= usize::from(KEPT);
        let oldest = self.runs.last().map(|(_, run)| run.ended_unix_ms);
        let since_unix_ms = match (passed_unix_ms, oldest) {
            (Some(passed), _) => passed.saturating_add(every),
            (None, Some(oldest)) if is_cut => oldest,
            (None, Some(oldest)) => oldest.saturating_add(every),
            (None, None) => plan?.first_due_unix_ms?.saturating_add(every),
        };
        (since_unix_ms <= now_unix_ms).then_some(Overdue { since_unix_ms, passed_unix_ms })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use topology::wire::drill::DrillVerdict;
    use topology::wire::drill::DrillVerdict::{Fail, Inconclusive, Pass};

    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    #[test]
    fn eight_days_after_the_last_pass_the_next_one_is_overdue() {
        let failed_since = [(20, Fail), (13, Inconclusive), (12, Pass), (1, Pass)];
        check(&failed_since, 19, None);
        check(
            &failed_since,
            20,
            Some(Overdue { since_unix_ms: 20 * DAY, passed_unix_ms: Some(12 * DAY) }),
        );
        check(&[(30, Pass), (12, Pass)], 37, None);
    }

    #[test]
    fn where_none_ever_passed_the_first_run_counts() {
        check(&[], 1000, None);
        check(&[(3, Fail), (2, Fail)], 9, None);
        check(
            &[(3, Fail), (2, Fail)],
            10,
            Some(Overdue { since_unix_ms: 10 * DAY, passed_unix_ms: None }),
        );
    }

    #[test]
    fn when_the_last_pass_is_forgotten_nobody_waits_longer() {
        let runs: Vec<_> = (0..u64::from(KEPT)).rev().map(|hour| (hour / 24, Fail)).collect();
        check(&runs, 8, Some(Overdue { since_unix_ms: 0, passed_unix_ms: None }));
    }

    #[test]
    fn where_a_suite_is_followed_and_nothing_is_run_what_was_due_counts() {
        // Of more that were skipped than a plan has room for.
        let skipped = |hour: u64| {
            json!({ "drill": "region-loss", "due_unix_ms": 9 * DAY + hour,
                "outcome": "SKIPPED" })
        };
        let plan = json!({
            "suite": "weekly", "title": "", "written_unix_ms": 1, "running": null, "held": null,
            "next": [{ "drill": "region-loss", "due_unix_ms": 10 * DAY }],
            "last": (0..12).map(skipped).collect::<Vec<_>>(), "first_due_unix_ms": 2 * DAY,
        });
        let plan: SuitePlan = serde_json::from_value(plan).unwrap();
        let never = SuitePlan { first_due_unix_ms: None, ..plan.clone() };
        let overdue = |plan, now| Drills::default().overdue(plan, now);
        assert_eq!(overdue(Some(&plan), 10 * DAY - 1), None);
        let since = Overdue { since_unix_ms: 10 * DAY, passed_unix_ms: None };
        assert_eq!(overdue(Some(&plan), 10 * DAY), Some(since));
        // Nobody follows one, or nothing of it was ever due.
        assert_eq!(overdue(None, 10 * DAY), None);
        assert_eq!(overdue(Some(&never), 10 * DAY), None);
    }

    #[track_caller]
    fn check(runs: &[(u64, DrillVerdict)], today: u64, expected: Option<Overdue>) {
        let runs = runs.iter().map(|(day, verdict)| {
            let run = json!({
                "run": "", "drill": "", "title": "", "environment": "", "seed": 0,
                "begun_unix_ms": 0, "ended_unix_ms": day * DAY, "verdict": verdict,
                "exit_code": 0, "reasons": [], "held": 0,
            });
            (day.to_string(), serde_json::from_value(run).unwrap())
        });
        let drills = Drills { read_at: None, runs: runs.collect() };
        assert_eq!(drills.overdue(None, today * DAY), expected);
    }
}
