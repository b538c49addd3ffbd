//! How each drill went of late, as one small picture per drill: a bar for each run.

use std::collections::BTreeMap;

use topology::wire::drill::{DrillRecord, Took};

use super::{took, verdict};
use crate::console::texts::{Texts, fill};
use crate::console::words::{Mark, Moment};

/// Runs in one picture: a quarter of a year of a weekly drill.
const RUNS: usize = 13;
/// The picture's own measures; the page scales it.
const WIDTH: u64 = 130;
const HEIGHT: u64 = 26;
/// From one bar to the next, and how wide a bar is.
const STEP: u64 = 10;
const BAR: u64 = 7;
/// A bar can be seen however short the time was.
const LEAST: u64 = 3;

pub(super) struct Trend {
    pub(super) drill: String,
    pub(super) passed: String,
    pub(super) verdict: Mark,
    pub(super) at: Moment,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    /// `pass` or `other`: the one is filled, the other hollow.
    pub(super) class: &'static str,
    /// For whoever points at it.
    pub(super) title: String,
}

/// Returns a picture of each drill, by its name. `runs` are the newest first.
pub(super) fn trends(t: &Texts, runs: &[(String, DrillRecord)]) -> Vec<Trend> {
    let mut drills: BTreeMap<&str, Vec<&DrillRecord>> = BTreeMap::new();
    for (_, run) in runs {
        let of_drill = drills.entry(&run.drill).or_default();
        if of_drill.len() < RUNS {
            of_drill.push(run);
        }
    }
    drills.into_iter().filter_map(|(drill, runs)| trend(t, drill, &runs)).collect()
}

fn trend(t: &Texts, drill: &str, runs: &[&DrillRecord]) -> Option<Trend> {
    let newest = runs.first()?;
    let passed = runs.iter().filter(|run| run.is_pass()).count().to_string();
    let all = runs.len().to_string();
    Some(Trend {
        drill: drill.to_owned(),
        passed: fill(t.passed_of, &[("passed", &passed), ("all", &all)]),
        verdict: verdict(t, newest.verdict),
        at: Moment::at(newest.begun_unix_ms),
        width: WIDTH,
        height: HEIGHT,
        bars: bars(t, runs),
    })
}

/// The newest run is at the right. The longest time is as high as the picture; what never came is, too.
fn bars(t: &Texts, runs: &[&DrillRecord]) -> Vec<Bar> {
    let time = |run: &DrillRecord| match run.recover_99_ms {
        Some(Took::Millis(millis)) => Some(millis),
        Some(Took::Never(_)) | None => None,
    };
    let longest = runs.iter().filter_map(|run| time(run)).max().unwrap_or(0).max(1);
    let bars = (0..).zip(runs).map(|(back, run)| {
        let height = match (time(run), run.recover_99_ms) {
            (Some(millis), _) => (millis.saturating_mul(HEIGHT - 2) / longest).max(LEAST),
            (None, Some(_)) => HEIGHT - 2,
            (None, None) => LEAST,
        };
        let word = verdict(t, run.verdict).word;
        Bar {
            x: WIDTH - (back + 1) * STEP,
            y: HEIGHT - 1 - height,
            width: BAR,
            height,
            class: if run.is_pass() { "pass" } else { "other" },
            title: format!("{word}, {}", took(t, run.recover_99_ms)),
        }
    });
    let mut bars: Vec<Bar> = bars.collect();
    bars.reverse();
    bars
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::console::texts::ENGLISH;

    fn run(drill: &str, verdict: &str, recover_99_ms: &Value) -> (String, DrillRecord) {
        let run = json!({
            "run": "", "drill": drill, "title": "", "environment": "", "seed": 0,
            "begun_unix_ms": 0, "ended_unix_ms": 0, "verdict": verdict, "exit_code": 0,
            "reasons": [], "held": 0, "recover_99_ms": recover_99_ms,
        });
        (String::new(), serde_json::from_value(run).unwrap())
    }

    #[test]
    fn the_newest_run_is_at_the_right_and_the_longest_time_is_highest() {
        let runs = [
            run("cell-loss", "pass", &json!(1000)),
            run("region-loss", "pass", &json!(2000)),
            run("cell-loss", "fail", &json!("never")),
            run("cell-loss", "pass", &json!(4000)),
        ];
        let trends = trends(&ENGLISH, &runs);
        let names: Vec<&str> = trends.iter().map(|trend| trend.drill.as_str()).collect();
        assert_eq!(names, ["cell-loss", "region-loss"]);
        let drawn = |trend: &Trend| -> Vec<(u64, u64, &str)> {
            trend.bars.iter().map(|bar| (bar.x, bar.height, bar.class)).collect()
        };
        assert_eq!(drawn(&trends[0]), [(100, 24, "pass"), (110, 24, "other"), (120, 6, "pass")]);
        assert_eq!(trends[0].bars[1].title, "failed, never");
        assert_eq!(trends[0].passed, "2 of 3 passed");
        assert_eq!(drawn(&trends[1]), [(120, 24, "pass")]);
    }

    #[test]
    fn a_picture_has_no_more_bars_than_fit() {
        let runs: Vec<_> = (0..200).map(|_| run("soak", "pass", &Value::Null)).collect();
        let trends = trends(&ENGLISH, &runs);
        let bars = &trends[0].bars;
        assert_eq!((bars.len(), bars[0].x, bars[0].height), (RUNS, 0, LEAST));
    }
}
