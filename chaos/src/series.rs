//! Several runs, judged on the worst: a single sample is an anecdote.

mod reports;
mod table;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Metrics, Value};
use crate::verdict::Verdict;

pub(crate) use reports::of_reports;
pub(crate) use table::markdown;

/// What one run came to.
pub(crate) struct Sample {
    pub(crate) drill: String,
    pub(crate) exit: Exit,
    pub(crate) measured: BTreeMap<Measure, Measured>,
    /// Requests that waited long, yet were answered.
    pub(crate) held: usize,
    /// Why it is no pass, the gravest first.
    pub(crate) reasons: Vec<String>,
}

impl Sample {
    pub(crate) fn new(drill: &str, verdict: &Verdict, metrics: &Metrics) -> Self {
        Self {
            drill: drill.to_owned(),
            exit: verdict.exit,
            // Those of the metrics do not know yet that what was claimed did not happen.
            measured: verdict.claims.iter().map(|claim| (claim.measure, claim.measured)).collect(),
            held: metrics.held.count,
            reasons: verdict.reasons.clone(),
        }
    }
}

/// Returns what all runs came to together.
pub(crate) fn exit(samples: &[Sample]) -> Exit {
    samples.iter().map(|sample| sample.exit).max().unwrap_or(Exit::Harness)
}

/// Returns the middle and the worst of every measure per drill, as lines for people.
pub(crate) fn lines(samples: &[Sample]) -> Vec<String> {
    let mut lines = Vec::new();
    for (drill, of_drill) in by_drill(samples) {
        let passed = of_drill.iter().filter(|sample| sample.exit == Exit::Pass).count();
        lines.push(format!("{drill}: {passed} of {} runs passed", of_drill.len()));
        for (measure, seen) in by_measure(&of_drill) {
            let (median, worst) = (middle(&seen), seen[seen.len() - 1]);
            let p99 = p99(&seen).map_or_else(String::new, |p99| format!(", p99 {p99}"));
            let total = total(&seen).map_or_else(String::new, |total| format!(", all {total}"));
            let name = measure.name();
            let line = format!("    {name:<20} median {median}{p99}, worst {worst}{total}");
            lines.push(if seen.len() < of_drill.len() {
                format!("{line} (seen in {} runs)", seen.len())
            } else {
                line
            });
        }
    }
    lines
}

/// The same for programs.
pub(crate) fn json(samples: &[Sample]) -> Json {
    let drills = by_drill(samples).into_iter().map(|(drill, of_drill)| {
        let passed = of_drill.iter().filter(|sample| sample.exit == Exit::Pass).count();
        let measures: serde_json::Map<_, _> = by_measure(&of_drill)
            .into_iter()
            .map(|(measure, seen)| {
                let summary = json!({
                    "seen": seen.len(),
                    "median": number(middle(&seen)),
                    "p99": p99(&seen).map(number),
                    "max": number(seen[seen.len() - 1]),
                    "all": total(&seen),
                });
                (measure.name().replace('-', "_"), summary)
            })
            .collect();
        (drill.to_owned(), json!({ "runs": of_drill.len(), "passed": passed, "metrics": measures }))
    });
    Json::Object(drills.collect())
}

fn by_drill(samples: &[Sample]) -> BTreeMap<&str, Vec<&Sample>> {
    let mut drills: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        drills.entry(&sample.drill).or_default().push(sample);
    }
    drills
}

/// Returns what was seen of each measure, in order; what never happened is the most.
fn by_measure(samples: &[&Sample]) -> BTreeMap<Measure, Vec<Measured>> {
    let mut measures: BTreeMap<Measure, Vec<Measured>> = BTreeMap::new();
    for (measure, measured) in samples.iter().flat_map(|sample| &sample.measured) {
        if *measured != Measured::Unseen {
            measures.entry(*measure).or_default().push(*measured);
        }
    }
    for seen in measures.values_mut() {
        seen.sort_by_key(|measured| match measured {
            Measured::Got(value) => (0, Some(*value)),
            Measured::Never | Measured::Unseen => (1, None),
        });
    }
    measures
}

fn middle(seen: &[Measured]) -> Measured {
    seen[(seen.len() - 1) / 2]
}

/// Of fewer runs than this nobody can say what one in a hundred is like; below a hundred it is the
/// worst of them.
const P99_FROM: usize = 50;

fn p99(seen: &[Measured]) -> Option<Measured> {
    let rank = (seen.len() * 99).div_ceil(100);
    (seen.len() >= P99_FROM).then(|| seen[rank - 1])
}

/// Returns the sum of what was counted.
fn total(seen: &[Measured]) -> Option<u64> {
    let counts = seen.iter().map(|measured| match measured {
        Measured::Got(Value::Count(count)) => Some(*count),
        Measured::Got(Value::Time(_)) | Measured::Never | Measured::Unseen => None,
    });
    counts.sum()
}

fn number(measured: Measured) -> Json {
    match measured {
        Measured::Got(Value::Time(time)) => json!(time.as_secs_f64()),
        Measured::Got(Value::Count(count)) => json!(count),
        Measured::Never => json!("never"),
        Measured::Unseen => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::tests::with_report;
    use crate::verdict::{Goals, verdict};

    fn sample(exit: Exit, measured: Measured) -> Sample {
        let measured = [(Measure::Recover99, measured)].into();
        let (drill, held, reasons) = ("region-loss".to_owned(), 0, Vec::new());
        Sample { drill, exit, measured, held, reasons }
    }

    fn seconds(seconds: u64) -> Measured {
        Measured::Got(Value::Time(Duration::from_secs(seconds)))
    }

    #[test]
    fn the_worst_run_is_what_the_series_comes_to() {
        let samples = [
            sample(Exit::Pass, seconds(3)),
            sample(Exit::Availability, Measured::Never),
            sample(Exit::Pass, seconds(2)),
        ];
        assert_eq!(exit(&samples), Exit::Availability);
        assert_eq!(
            lines(&samples),
            [
                "region-loss: 2 of 3 runs passed",
                "    recover-99           median 3.00 s, worst never"
            ]
        );
        let json = json(&samples);
        assert_eq!(json["region-loss"]["metrics"]["recover_99"]["max"], "never");
        assert_eq!(json["region-loss"]["metrics"]["recover_99"]["p99"], Json::Null);
    }

    #[test]
    fn what_was_claimed_and_did_not_happen_counts_as_never() {
        let sample = with_report(|report| {
            let mut drill = report.drill.clone();
            drill.limits.insert(Measure::Detect, Value::Time(Duration::from_secs(1)));
            let verdict = verdict(&drill, report.course, report.metrics, Goals::Warn);
            Sample::new(&drill.name, &verdict, report.metrics)
        });
        assert_eq!(sample.measured[&Measure::Detect], Measured::Never);
    }

    #[test]
    fn one_in_a_hundred_is_told_of_many_runs_only() {
        let samples: Vec<Sample> = (1..=200).map(|at| sample(Exit::Pass, seconds(at))).collect();
        let json = json(&samples);
        assert_eq!(json["region-loss"]["metrics"]["recover_99"]["median"], 100.0);
        assert_eq!(json["region-loss"]["metrics"]["recover_99"]["p99"], 198.0);
        assert_eq!(json["region-loss"]["metrics"]["recover_99"]["max"], 200.0);
    }

    #[test]
    fn what_is_counted_is_summed_up_and_how_often_it_was_seen_is_told() {
        let counted = |count| Measured::Got(Value::Count(count));
        let samples =
            [counted(3), Measured::Unseen, counted(1)].map(|seen| sample(Exit::Pass, seen));
        assert_eq!(
            lines(&samples)[1],
            "    recover-99           median 1, worst 3, all 4 (seen in 2 runs)"
        );
        assert_eq!(json(&samples)["region-loss"]["metrics"]["recover_99"]["all"], 4);
    }
}
