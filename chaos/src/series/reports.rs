//! The runs of a series out of the reports they left, however many sittings it took.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::Sample;
use crate::report::{self, Document};

/// Returns what each run came to, in the order in which they began. Each place is a run's folder or report,
/// or a folder of runs, of which those without a report are passed over: they may go on.
pub(crate) fn of_reports(places: &[PathBuf]) -> anyhow::Result<Vec<Sample>> {
    let mut runs = Vec::new();
    let mut mistakes = Vec::new();
    for place in places {
        match runs_in(place) {
            Ok(found) => runs.extend(found),
            Err(err) => mistakes.push(format!("{err:#}")),
        }
    }
    let mut samples = Vec::new();
    for run in &runs {
        match report::read(run)
            .and_then(|document| Ok((document.begun_unix_ms, sample(&document)?)))
        {
            Ok(sample) => samples.push(sample),
            Err(err) => mistakes.push(format!("{err:#}")),
        }
    }
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    samples.sort_by_key(|(begun, _)| *begun);
    Ok(samples.into_iter().map(|(_, sample)| sample).collect())
}

/// Returns the folders of the runs that are meant, or the file itself.
fn runs_in(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !place.is_dir() || report::is_in(place) {
        return Ok(vec![place.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).with_context(|| format!("list {}", place.display()))? {
        let folder = entry.with_context(|| format!("list {}", place.display()))?.path();
        if report::is_in(&folder) {
            found.push(folder);
        }
    }
    ensure!(!found.is_empty(), "find a run's report in {}: there is none", place.display());
    Ok(found)
}

fn sample(document: &Document) -> anyhow::Result<Sample> {
    let Document { id, drill, verdict, .. } = document;
    let exit = report::exit_told(document);
    Ok(Sample {
        drill: drill.clone(),
        exit: exit.with_context(|| format!("understand verdict {verdict} of run {id}"))?,
        measured: document.claims.iter().filter_map(report::measured_told).collect(),
        held: document.requests.held.count,
        reasons: document.reasons.clone(),
    })
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
    fn all_that_cannot_be_read_is_told_at_once() {
        let scratch = Scratch::new("mistakes");
        scratch.run("later", &Document { schema: 99, ..example() });
        scratch.run("strange", &Document { verdict: "so-so".to_owned(), ..example() });
        scratch.run("well", &example());
        let empty = Scratch::new("empty");
        let places = [&scratch.0, &empty.0, &scratch.0.join("nowhere")].map(Clone::clone);
        let told = of_reports(&places).map(drop).unwrap_err().to_string();
        assert_eq!(told.lines().count(), 4, "{told}");
        let (strange, there_is_none) = ("understand verdict so-so of run", "there is none");
        for mistake in ["its schema is 99", strange, there_is_none, "nowhere"] {
            assert!(told.contains(mistake), "{mistake}: {told}");
        }
    }
}
