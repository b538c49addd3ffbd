//! What the drills of late say: whether each that is expected has passed recently enough.

use std::time::Duration;

use tokio::time::Instant;
use topology::wire::drill::{DrillRecord, KEPT};
use topology::wire::suite::{ExpectedPass, SuitePlan};

/// How long it may be since a drill passed: they are rehearsed weekly, and one day is for putting a
/// failed one right.
const EVERY: Duration = Duration::from_hours(8 * 24);
const DAY: Duration = Duration::from_hours(24);

/// The runs that are kept, as they were read.
#[derive(Clone, Debug, Default)]
pub struct Drills {
    /// When they were last read; nothing before the first time.
    pub read_at: Option<Instant>,
    /// With their ids, the newest first.
    pub runs: Vec<(String, DrillRecord)>,
}

/// What has not passed for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// When the time was up; of several drills, that of the first.
    pub since_unix_ms: u64,
    pub missed: Missed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// No drill at all has passed; with when the last one did.
    Any { passed_unix_ms: Option<u64> },
    /// These of a suite have not; with when each last did.
    Each(Vec<(String, Option<u64>)>),
}

impl Drills {
    #[must_use]
    pub fn passed_unix_ms(&self) -> Option<u64> {
        self.last_pass(|_| true)
    }

    /// Returns when a drill of this name last passed, whoever ran it.
    #[must_use]
    pub fn passed_of(&self, drill: &str) -> Option<u64> {
        self.last_pass(|run| run.drill == drill)
    }

    fn last_pass(&self, is_meant: impl Fn(&DrillRecord) -> bool) -> Option<u64> {
        let passed = self.runs.iter().filter(|(_, run)| run.is_pass() && is_meant(run));
        passed.map(|(_, run)| run.ended_unix_ms).max()
    }

    /// Returns what is overdue: drills of the plan that is followed, each by itself, so that one that passes hides
    /// none that fails. Where none is followed, or who follows it does not say which are expected, any drill counts.
    #[must_use]
    pub fn overdue(&self, plan: Option<&SuitePlan>, now_unix_ms: u64) -> Option<Overdue> {
        match plan.filter(|plan| !plan.expected.is_empty()) {
            Some(plan) => self.each_overdue(&plan.expected, now_unix_ms),
            None => self.any_overdue(plan, now_unix_ms),
        }
    }

    fn each_overdue(&self, expected: &[ExpectedPass], now_unix_ms: u64) -> Option<Overdue> {
        let mut since_unix_ms = None;
        let mut each = Vec::new();
        for drill in expected {
            let passed = self.passed_of(&drill.drill);
            let since = due_by(drill, passed);
            if since <= now_unix_ms {
                since_unix_ms = Some(since_unix_ms.map_or(since, |first: u64| first.min(since)));
                each.push((drill.drill.clone(), passed));
            }
        }
        Some(Overdue { since_unix_ms: since_unix_ms?, missed: Missed::Each(each) })
    }

    /// Where no drill was ever run, one is expected only by a plan that is followed. Where as many are kept as can
    /// be and none of them passed, the last pass is forgotten, and nobody waits longer.
    fn any_overdue(&self, plan: Option<&SuitePlan>, now_unix_ms: u64) -> Option<Overdue> {
        let every = millis(EVERY);
        let passed_unix_ms = self.passed_unix_ms();
        let is_cut = self.runs.len() >= usize::from(KEPT);
        let oldest = self.runs.last().map(|(_, run)| run.ended_unix_ms);
        let since_unix_ms = match (passed_unix_ms, oldest) {
            (Some(passed), _) => passed.saturating_add(every),
            (None, Some(oldest)) if is_cut => oldest,
            (None, Some(oldest)) => oldest.saturating_add(every),
            (None, None) => plan?.first_due_unix_ms?.saturating_add(every),
        };
        let missed = Missed::Any { passed_unix_ms };
        (since_unix_ms <= now_unix_ms).then_some(Overdue { since_unix_ms, missed })
    }
}

/// Returns by when a drill has to have passed. One that last passed before the suite was followed has a day for its
/// first turn in it; a pass that is forgotten, or was on a platform before this one, is known to the suite.
fn due_by(expected: &ExpectedPass, passed_unix_ms: Option<u64>) -> u64 {
    let ExpectedPass { within_ms, first_due_unix_ms, .. } = expected;
    match passed_unix_ms {
        Some(passed) => {
            passed.saturating_add(*within_ms).max(first_due_unix_ms.saturating_add(millis(DAY)))
        }
        None => first_due_unix_ms.saturating_add(*within_ms),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use topology::wire::drill::DrillVerdict;
    use topology::wire::drill::DrillVerdict::{Fail, Inconclusive, Pass};

    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    fn any(since_unix_ms: u64, passed_unix_ms: Option<u64>) -> Overdue {
        Overdue { since_unix_ms, missed: Missed::Any { passed_unix_ms } }
    }

    #[test]
    fn eight_days_after_the_last_pass_the_next_one_is_overdue() {
        let failed_since = [(20, Fail), (13, Inconclusive), (12, Pass), (1, Pass)];
        check(&failed_since, 19, None);
        check(&failed_since, 20, Some(&any(20 * DAY, Some(12 * DAY))));
        check(&[(30, Pass), (12, Pass)], 37, None);
    }

    #[test]
    fn where_none_ever_passed_the_first_run_counts() {
        check(&[], 1000, None);
        check(&[(3, Fail), (2, Fail)], 9, None);
        check(&[(3, Fail), (2, Fail)], 10, Some(&any(10 * DAY, None)));
    }

    #[test]
    fn when_the_last_pass_is_forgotten_nobody_waits_longer() {
        let runs: Vec<_> = (0..u64::from(KEPT)).rev().map(|hour| (hour / 24, Fail)).collect();
        check(&runs, 8, Some(&any(0, None)));
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
        let since = any(10 * DAY, None);
        assert_eq!(overdue(Some(&plan), 10 * DAY), Some(since));
        // Nobody follows one, or nothing of it was ever due.
        assert_eq!(overdue(None, 10 * DAY), None);
        assert_eq!(overdue(Some(&never), 10 * DAY), None);
    }

    #[test]
    fn one_drill_that_passes_hides_none_that_fails() {
        let drills = drills(&[
            (10, "region-loss", Pass),
            (10, "cell-loss", Fail),
            (3, "cell-loss", Fail),
            (2, "cell-loss", Pass),
            // It is in no suite: nobody misses it.
            (0, "my-own", Pass),
        ]);
        let plan = plan(&[("region-loss", 8, 3), ("cell-loss", 8, 3)]);
        let overdue = |day| drills.overdue(Some(&plan), day * DAY);
        assert_eq!(overdue(9), None);
        let missed = Missed::Each(vec![("cell-loss".to_owned(), Some(2 * DAY))]);
        assert_eq!(overdue(10), Some(Overdue { since_unix_ms: 10 * DAY, missed }));
        let both = vec![
            ("region-loss".to_owned(), Some(10 * DAY)),
            ("cell-loss".to_owned(), Some(2 * DAY)),
        ];
        let both = Overdue { since_unix_ms: 10 * DAY, missed: Missed::Each(both) };
        assert_eq!(overdue(18), Some(both));
    }

    #[test]
    fn a_monthly_drill_has_a_month() {
        let drills = drills(&[(2, "gray-site", Pass)]);
        let plan = plan(&[("gray-site", 36, 30)]);
        assert_eq!(drills.overdue(Some(&plan), 38 * DAY - 1), None);
        assert_eq!(drills.overdue(Some(&plan), 38 * DAY).unwrap().since_unix_ms, 38 * DAY);
    }

    #[test]
    fn a_drill_that_never_passed_has_its_time_from_its_first_turn() {
        let drills = drills(&[(11, "cell-loss", Fail), (3, "region-loss", Pass)]);
        let plan = plan(&[("cell-loss", 8, 4)]);
        assert_eq!(drills.overdue(Some(&plan), 12 * DAY - 1), None);
        let missed = Missed::Each(vec![("cell-loss".to_owned(), None)]);
        let overdue = Overdue { since_unix_ms: 12 * DAY, missed };
        assert_eq!(drills.overdue(Some(&plan), 12 * DAY), Some(overdue));
    }

    #[test]
    fn what_passed_long_before_the_suite_was_followed_has_a_day_for_its_first_turn() {
        let drills = drills(&[(2, "cell-loss", Pass)]);
        let plan = plan(&[("cell-loss", 8, 60)]);
        assert_eq!(drills.overdue(Some(&plan), 61 * DAY - 1), None);
        assert_eq!(drills.overdue(Some(&plan), 61 * DAY).unwrap().since_unix_ms, 61 * DAY);
    }

    /// A plan that expects drills within so many days, the first due on a day.
    fn plan(expected: &[(&str, u64, u64)]) -> SuitePlan {
        let expected = expected.iter().map(|(drill, within, first_due)| {
            json!({ "drill": drill, "within_ms": within * DAY, "first_due_unix_ms": first_due * DAY })
        });
        let plan = json!({
            "suite": "weekly", "title": "", "written_unix_ms": 1, "running": null, "held": null,
            "next": [], "last": [], "expected": expected.collect::<Vec<_>>(),
        });
        serde_json::from_value(plan).unwrap()
    }

    /// Runs by the day they ended on.
    fn drills(runs: &[(u64, &str, DrillVerdict)]) -> Drills {
        let runs = runs.iter().map(|(day, drill, verdict)| {
            let run = json!({
                "run": "", "drill": drill, "title": "", "environment": "", "seed": 0,
                "begun_unix_ms": 0, "ended_unix_ms": day * DAY, "verdict": verdict,
                "exit_code": 0, "reasons": [], "held": 0,
            });
            (day.to_string(), serde_json::from_value(run).unwrap())
        });
        Drills { read_at: None, runs: runs.collect() }
    }

    #[track_caller]
    fn check(runs: &[(u64, DrillVerdict)], today: u64, expected: Option<&Overdue>) {
        let runs: Vec<_> = runs.iter().map(|(day, verdict)| (*day, "", *verdict)).collect();
        let drills = drills(&runs);
        assert_eq!(drills.overdue(None, today * DAY).as_ref(), expected);
    }
}
