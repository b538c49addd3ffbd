//! The runs of a series out of the reports they left, however many sittings it took.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value as Json;

use super::Sample;
use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Unit, Value};
use crate::report::{self, Document};

/// Returns what each run came to, in the order in which they began. Each place is a run's folder or report,
/// or a folder of runs, of which those without a report are passed over: they may go on.
pub(crate) fn of_reports(places: &[PathBuf]) -> anyhow::Result<Vec<Sample>> {
    let mut documents = Vec::new();
    let mut mistakes = Vec::new();
    for place in places {
        match runs(place) {
            Ok(runs) => documents.extend(runs),
            Err(err) => mistakes.push(format!("{err:#}")),
        }
    }
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    documents.sort_by_key(|document| document.begun_unix_ms);
    documents.iter().map(sample).collect()
}

fn runs(place: &Path) -> anyhow::Result<Vec<Document>> {
    if !place.is_dir() || report::is_in(place) {
        return Ok(vec![report::read(place)?]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).with_context(|| format!("list {}", place.display()))? {
        let folder = entry.with_context(|| format!("list {}", place.display()))?.path();
        if report::is_in(&folder) {
            found.push(report::read(&folder)?);
        }
    }
    ensure!(!found.is_empty(), "find a run's report in {}: there is none", place.display());
    Ok(found)
}

fn sample(document: &Document) -> anyhow::Result<Sample> {
    let Document { id, drill, exit_code, class, .. } = document;
    let exit = Exit::of_code(*exit_code, class.as_deref() == Some("safety"));
    let claims = document.claims.iter().filter_map(|claim| {
        let measure = Measure::ALL.into_iter().find(|measure| measure.name() == claim.name)?;
        Some((measure, measured(measure, &claim.measured)))
    });
    Ok(Sample {
        drill: drill.clone(),
        exit: exit.with_context(|| format!("understand exit code {exit_code} of run {id}"))?,
        measured: claims.collect(),
        held: document.requests.held.count,
        reasons: document.reasons.clone(),
    })
}

/// The other way round from what is written into a report.
fn measured(measure: Measure, told: &Json) -> Measured {
    if told == "never" {
        return Measured::Never;
    }
    let value = match measure.unit() {
        Unit::Time => {
            let seconds = told.as_f64().map(Duration::try_from_secs_f64);
            seconds.and_then(Result::ok).map(Value::Time)
        }
        Unit::Count => told.as_u64().map(Value::Count),
    };
    value.map_or(Measured::Unseen, Measured::Got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{example, with_report};

    /// A folder that is gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("chaos-reports-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn run(&self, name: &str, document: &Document) -> PathBuf {
            let folder = self.0.join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("report.json"), serde_json::to_vec(document).unwrap()).unwrap();
            folder
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_report_tells_of_its_run_what_the_run_told() {
        let told =
            with_report(|report| Sample::new(&report.drill.name, report.verdict, report.metrics));
        let read = sample(&example()).unwrap();
        assert_eq!((read.exit, read.held, read.reasons), (told.exit, told.held, told.reasons));
        assert_eq!(read.measured, told.measured);
    }

    #[test]
    fn a_folder_of_runs_is_all_of_them_in_the_order_they_began() {
        let scratch = Scratch::new("folder");
        for (name, begun, drill) in [("b", 2, "second"), ("a", 3, "third"), ("c", 1, "first")] {
            let document = Document { begun_unix_ms: begun, drill: drill.to_owned(), ..example() };
            scratch.run(name, &document);
        }
        fs::create_dir_all(scratch.0.join("goes-on")).unwrap();
        let samples = of_reports(std::slice::from_ref(&scratch.0)).unwrap();
        let drills: Vec<&str> = samples.iter().map(|sample| sample.drill.as_str()).collect();
        assert_eq!(drills, ["first", "second", "third"]);
    }

    #[test]
    fn every_place_without_a_report_is_told_at_once() {
        let scratch = Scratch::new("mistakes");
        let of_a_later_program = Document { schema: 99, ..example() };
        let places = [
            scratch.run("later", &of_a_later_program),
            scratch.0.join("nowhere"),
            scratch.run("well", &example()),
        ];
        let told = of_reports(&places).map(drop).unwrap_err().to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        assert!(lines[0].contains("its schema is 99"), "{told}");
        assert!(lines[1].contains("nowhere"), "{told}");
    }
}
