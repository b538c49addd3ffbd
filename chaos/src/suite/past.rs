//! What became of each drill that was due: one line of JSON each, beside the reports of the runs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
pub(crate) use topology::wire::suite::Outcome;

use crate::exit::Exit;

/// A dozen drills a week for more than a year.
const KEPT: usize = 1000;
/// Reasons kept of each.
const REASONS_MAX: usize = 5;
const MODE: u32 = 0o644;

/// A drill that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) drill: String,
    pub(crate) due_unix_ms: u64,
    pub(crate) ended_unix_ms: u64,
    /// Whom it hit, or was to hit; `None` where it was given up before that was settled.
    pub(crate) target: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) outcome: Outcome,
    pub(crate) why: Vec<String>,
}

/// Returns what a drill that was due came to, by how it ended.
pub(crate) fn outcome_of(exit: Exit) -> Outcome {
    match exit {
        Exit::Pass => Outcome::Succeeded,
        Exit::Availability
        | Exit::Safety
        | Exit::Residue
        | Exit::Harness
        | Exit::Inconclusive
        | Exit::Invalid => Outcome::Failed,
        Exit::Aborted => Outcome::Interrupted,
        // Nothing was broken.
        Exit::Unsteady | Exit::Refused => Outcome::Skipped,
    }
}

impl Entry {
    /// Whether its target was hit, and the drill seen to its end.
    pub(crate) fn is_rehearsed(&self) -> bool {
        matches!(self.outcome, Outcome::Succeeded | Outcome::Failed)
    }
}

/// The entries of a suite, the oldest first.
#[derive(Debug)]
pub(crate) struct Past {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Past {
    /// Reads what became of a suite in a run directory.
    pub(crate) fn read(run_dir: &Path, suite: &str) -> anyhow::Result<Self> {
        let path = Self::folder(run_dir).join(format!("{suite}.jsonl"));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == ErrorKind::NotFound => String::new(),
            Err(err) => return Err(err).with_context(|| format!("read {}", path.display())),
        };
        let entries = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        let entries = entries.with_context(|| format!("understand {}", path.display()))?;
        Ok(Self { path, entries })
    }

    /// Returns where suites keep what they know; a fresh start of the platform leaves it alone.
    pub(crate) fn folder(run_dir: &Path) -> PathBuf {
        run_dir.join("drills").join("suites")
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Writes one down in place of another of the same drill at the same time, and forgets what is beyond
    /// the bound.
    pub(crate) fn push(&mut self, mut entry: Entry) -> anyhow::Result<()> {
        entry.why.truncate(REASONS_MAX);
        self.drop_due(&entry.drill, entry.due_unix_ms);
        self.entries.push(entry);
        self.entries.drain(..self.entries.len().saturating_sub(KEPT));
        self.write()
    }

    /// Takes one back that has not begun after all: it is still due.
    pub(crate) fn take_back(&mut self, drill: &str, due_unix_ms: u64) -> anyhow::Result<()> {
        self.drop_due(drill, due_unix_ms);
        self.write()
    }

    fn drop_due(&mut self, drill: &str, due_unix_ms: u64) {
        self.entries.retain(|entry| entry.drill != drill || entry.due_unix_ms != due_unix_ms);
    }

    fn write(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        for entry in &self.entries {
            text += &serde_json::to_string(entry).context("write an entry")?;
            text.push('\n');
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        runtime::file::replace(&self.path, text.as_bytes(), MODE)
            .with_context(|| format!("write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_past_is_read_again_and_the_oldest_is_forgotten() {
        let run_dir = std::env::temp_dir().join(format!("chaos-past-{}", std::process::id()));
        let entry = |due_unix_ms| Entry {
            drill: "cell-loss".to_owned(),
            due_unix_ms,
            ended_unix_ms: due_unix_ms + 1,
            target: Some("c1".to_owned()),
            seed: Some(7),
            outcome: Outcome::Interrupted,
            why: vec!["a real incident".to_owned()],
        };
        let mut past = Past::read(&run_dir, "weekly").unwrap();
        assert_eq!(past.entries(), []);
        past.entries = (0..KEPT as u64).map(entry).collect();
        past.push(entry(5000)).unwrap();
        let again = Past::read(&run_dir, "weekly").unwrap();
        assert_eq!(again.entries().len(), KEPT);
        assert_eq!(
            (again.entries()[0].due_unix_ms, again.entries().last()),
            (1, Some(&entry(5000)))
        );
        let text = fs::read_to_string(&again.path).unwrap();
        assert!(text.contains(r#""outcome":"INTERRUPTED""#), "{text}");
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn what_is_begun_is_written_down_before_and_once() {
        let run_dir = std::env::temp_dir().join(format!("chaos-begun-{}", std::process::id()));
        let entry = |outcome| Entry {
            drill: "cell-loss".to_owned(),
            due_unix_ms: 7,
            ended_unix_ms: 8,
            target: Some("c1".to_owned()),
            seed: Some(7),
            outcome,
            why: Vec::new(),
        };
        let outcomes = || {
            let past = Past::read(&run_dir, "weekly").unwrap();
            past.entries().iter().map(|entry| entry.outcome).collect::<Vec<_>>()
        };
        let mut past = Past::read(&run_dir, "weekly").unwrap();
        past.push(entry(Outcome::Interrupted)).unwrap();
        assert_eq!(outcomes(), [Outcome::Interrupted]);
        past.push(entry(Outcome::Succeeded)).unwrap();
        assert_eq!(outcomes(), [Outcome::Succeeded]);
        past.take_back("cell-loss", 7).unwrap();
        assert_eq!(outcomes(), []);
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
