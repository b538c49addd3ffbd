//! The runs of a series as a table in Markdown, to be kept beside the drills.

use std::fmt::Write as _;

use super::{Sample, by_drill};
use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Value};

/// Returns one row per drill; what its runs differ in is told as the middle and the worst.
pub(crate) fn markdown(samples: &[Sample]) -> String {
    let mut text =
        "| drill | passed | detect | recover-99 | strong lost | weak lost | failed | held | \
                    redundancy restored |\n|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (drill, runs) in by_drill(samples) {
        let passed = runs.iter().filter(|run| run.exit == Exit::Pass).count();
        let seen = |measure| told(&runs, measure);
        let held = runs.iter().map(|run| run.held).max().unwrap_or(0);
        writeln!(
            text,
            "| `{drill}` | {passed} of {} | {} | {} | {} | {} | {} | {held} | {} |",
            runs.len(),
            seen(Measure::Detect),
            seen(Measure::Recover99),
            seen(Measure::AckedStrongLost),
            seen(Measure::AckedWeakLost),
            seen(Measure::Failed),
            seen(Measure::RedundancyRestored),
        )
        .expect("a string takes any text");
    }
    let failed = samples.iter().filter(|sample| sample.exit != Exit::Pass);
    let reasons: Vec<String> = failed
        .map(|sample| {
            let why = sample.reasons.first().map_or("no reason was told", String::as_str);
            format!("* `{}` did not pass: {why}.", sample.drill)
        })
        .collect();
    if !reasons.is_empty() {
        text.push('\n');
        text.push_str(&reasons.join("\n"));
        text.push('\n');
    }
    text
}

fn told(runs: &[&Sample], measure: Measure) -> String {
    let mut seen: Vec<Measured> = runs
        .iter()
        .filter_map(|run| run.measured.get(&measure).copied())
        .filter(|measured| *measured != Measured::Unseen)
        .collect();
    seen.sort_by_key(|measured| match measured {
        Measured::Got(value) => (0, Some(*value)),
        Measured::Never | Measured::Unseen => (1, None::<Value>),
    });
    match (seen.get(seen.len().saturating_sub(1) / 2), seen.last()) {
        (Some(middle), Some(worst)) if middle == worst => worst.to_string(),
        (Some(middle), Some(worst)) => format!("{middle}, worst {worst}"),
        (None, _) | (_, None) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_drill_that_does_not_always_pass_is_listed_with_its_reason() {
        let run = |exit, seconds, reasons: &[&str]| Sample {
            drill: "cell-loss".to_owned(),
            exit,
            measured: [
                (Measure::Recover99, Measured::Got(Value::Time(Duration::from_secs(seconds)))),
                (Measure::Failed, Measured::Got(Value::Count(0))),
                (Measure::Detect, Measured::Unseen),
            ]
            .into(),
            held: 7,
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        };
        let why = ["recover-99 is 6.00 s, the limit is 5.00 s"];
        let samples =
            [run(Exit::Pass, 3, &[]), run(Exit::Availability, 6, &why), run(Exit::Pass, 2, &[])];
        let table = markdown(&samples);
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| `cell-loss` | 2 of 3 | – | 3.00 s, worst 6.00 s | – | – | 0 | 7 | – |",
                "",
                "* `cell-loss` did not pass: recover-99 is 6.00 s, the limit is 5.00 s.",
            ]
        );
    }
}
