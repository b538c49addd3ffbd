//! `restore`: a cell's database is restored from its backups beside the running one, as an operator would
//! have it, and compared with what the cell had at the same position of its WAL.
//!
//! The cell finishes a piece of WAL and counts its rows; nothing is held, filtered or limited. The program
//! that restores ends with the run, however that ends, and takes away what it has made.

use std::fmt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use topology::{CellId, SiteId};

use super::program::{self, ended};
use super::{Bench, Injection};
use crate::programs;

/// What it restores with.
const NEEDS: &str = "pgbackrest";

pub(crate) const WITHOUT: &str =
    "pgbackrest is not installed, so that there are no backups; apt-get install pgbackrest";

/// It stops a database nobody uses, and deletes its files.
const STOP: Duration = Duration::from_secs(15);

/// Lines of what it said that are shown when it fails.
const TAIL: usize = 4;

/// What came of restoring a cell from its backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    Compared(Compared),
    /// What the backups gave is no database, or was none in time.
    Failed,
}

/// What a cell's backups gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Tables that are not as they were, or that are missing.
    pub(crate) differing: u64,
    pub(crate) took: Duration,
    /// How long before that the archive had ended; not known of a site that has sent it nothing.
    pub(crate) behind: Option<Duration>,
}

/// What `platform restore --json` tells.
#[derive(Debug, Deserialize)]
struct Told {
    to: String,
    base_backup: String,
    seconds: f64,
    archived_ago_seconds: Option<f64>,
    compared_with: Option<String>,
    missing: Option<Vec<String>>,
    tables: Vec<Table>,
}

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(rename = "table")]
    name: String,
    rows: u64,
    same: Option<bool>,
}

pub(crate) fn is_installed() -> bool {
    programs::is_on_path(NEEDS)
}

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    injection.begin(&bench.clock);
    let cell = &site.cell;
    let restoring = restore(&bench.platform.run_dir, cell, bench.action.verify_within);
    let came = restoring.await.with_context(|| format!("restore {cell} from its backups"))?;
    let (step, restored, proof) = match came {
        Came::Told(told) => {
            let step = format!("restored {cell} from base backup {}", told.base_backup);
            (step, Restored::Compared(told.compared()), told.to_string())
        }
        Came::Failed(why) => {
            let step = format!("could not restore {cell} from its backups");
            (step, Restored::Failed, format!("{cell} is not to be had from its backups: {why}"))
        }
    };
    injection.step(&bench.clock, step);
    injection.restored = Some(restored);
    injection.proof.push(proof);
    Ok(())
}

/// What came of running the program.
#[derive(Debug)]
enum Came {
    Told(Told),
    /// It has tried, and says why that failed.
    Failed(String),
}

/// How the program ends that has not understood what it was asked.
const MISUNDERSTOOD: i32 = 2;

async fn restore(run_dir: &Path, cell: &CellId, within: Duration) -> anyhow::Result<Came> {
    let mut command = program::platform()?;
    command.args(["restore", cell.as_str(), "--to", "latest"]);
    command.args(["--check", "--json", "--run-dir"]).arg(run_dir);
    came(ended(command.into(), within, STOP).await?, within)
}

fn came(ended: Option<Output>, within: Duration) -> anyhow::Result<Came> {
    let too_long = format!("that had not ended within {within:?}, and was stopped");
    ended.map_or(Ok(Came::Failed(too_long)), |output| read(&output))
}

/// What differs is told, and no failure to restore.
fn read(output: &Output) -> anyhow::Result<Came> {
    if output.stdout.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("; ");
        let told = format!("it ended with {}: {tail}", output.status);
        return match output.status.code() {
            // Somebody else has stopped it, which says nothing of the backups.
            Some(0 | MISUNDERSTOOD) | None => bail!(told),
            Some(_) => Ok(Came::Failed(told)),
        };
    }
    let told: Told = serde_json::from_slice(&output.stdout).context("understand what it told")?;
    if told.compared_with.is_none() {
        bail!("compare it: the cell is active nowhere");
    }
    Ok(Came::Told(told))
}

impl Told {
    /// Those that are not as they were, or not there at all.
    fn differing(&self) -> Vec<&str> {
        let tables = self.tables.iter().filter(|table| table.same != Some(true));
        let tables = tables.map(|table| table.name.as_str());
        tables.chain(self.missing.iter().flatten().map(String::as_str)).collect()
    }

    fn compared(&self) -> Compared {
        let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Compared {
            differing: self.differing().len() as u64,
            took: time(self.seconds),
            behind: self.archived_ago_seconds.map(time),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tables, to) = (self.tables.len(), &self.to);
        let rows: u64 = self.tables.iter().map(|table| table.rows).sum();
        let site = self.compared_with.as_deref().unwrap_or_default();
        let differing = self.differing();
        if differing.is_empty() {
            write!(f, "all {rows} rows of {tables} tables are as in {site} at {to}")
        } else {
            write!(f, "not as in {site} at {to}: {}", differing.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;

    async fn run_shell(script: &str, within: u64, stop: u64) -> anyhow::Result<Came> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let (within, stop) = (Duration::from_millis(within), Duration::from_millis(stop));
        came(ended(command, within, stop).await?, within)
    }

    async fn run_whole(script: &str) -> Told {
        match run_shell(script, LONG, LONG).await {
            Ok(Came::Told(told)) => told,
            other => panic!("{other:?}"),
        }
    }

    fn told(same: &str, missing: &str) -> String {
        format!(
            r#"echo '{{"to": "WAL position 0/5", "base_backup": "B", "seconds": 9.5, "missing": {missing},
"archived_ago_seconds": 30.25, "compared_with": "c1@east", "cell": "c1", "tables": [
{{"table": "tickets", "rows": 7, "checksum": "01", "same": true}},
{{"table": "messages", "rows": 5, "checksum": "02", "same": {same}}}]}}'"#
        )
    }

    const LONG: u64 = 60_000;

    #[tokio::test]
    async fn what_is_the_same_and_how_far_back_it_goes_is_told() {
        let told = run_whole(&told("true", "[]")).await;
        assert_eq!(
            told.to_string(),
            "all 12 rows of 2 tables are as in c1@east at WAL position 0/5"
        );
        let expected = Compared {
            differing: 0,
            took: Duration::from_millis(9500),
            behind: Some(Duration::from_millis(30_250)),
        };
        assert_eq!(told.compared(), expected);
    }

    #[tokio::test]
    async fn what_differs_is_a_finding_and_no_failure_to_restore() {
        let differs = format!("{}; exit 1", told("false", "[\"keys\"]"));
        let told = run_whole(&differs).await;
        assert_eq!(told.to_string(), "not as in c1@east at WAL position 0/5: messages, keys");
        assert_eq!(told.compared().differing, 2);
    }

    #[tokio::test]
    async fn one_that_fails_is_a_finding_with_what_it_said() {
        let came = run_shell("echo copying >&2; echo no base backup >&2; exit 1", LONG, LONG).await;
        let Ok(Came::Failed(why)) = came else { panic!("{came:?}") };
        assert_eq!(why, "it ended with exit status: 1: copying; no base backup");
    }

    #[tokio::test]
    async fn what_says_nothing_of_the_backups_is_no_finding() {
        let why =
            async |script| run_shell(script, LONG, LONG).await.err().map(|err| err.to_string());
        let misunderstood = why("echo no such cell >&2; exit 2").await;
        let expected = "it ended with exit status: 2: no such cell";
        assert_eq!(misunderstood.as_deref(), Some(expected));
        let stopped = why("exit 0").await;
        assert_eq!(stopped.as_deref(), Some("it ended with exit status: 0: "));
        let killed = why("kill -KILL $$").await;
        assert_eq!(killed.as_deref(), Some("it ended with signal: 9 (SIGKILL): "));
        let garbled = why("echo nonsense").await;
        assert_eq!(garbled.as_deref(), Some("understand what it told"));
        let alone = told("null", "null").replace("\"c1@east\"", "null");
        let nowhere = why(&alone).await;
        assert_eq!(nowhere.as_deref(), Some("compare it: the cell is active nowhere"));
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_stopped_and_takes_away_what_it_made() {
        let folder = std::env::temp_dir().join(format!("chaos-restore-{}", std::process::id()));
        let folder = folder.display();
        let script = format!(
            "trap 'rmdir {folder}; exit' TERM; mkdir {folder}; while :; do sleep 0.01; done"
        );
        let came = run_shell(&script, 300, LONG).await;
        let Ok(Came::Failed(why)) = came else { panic!("{came:?}") };
        assert_eq!(why, "that had not ended within 300ms, and was stopped");
        assert!(!std::path::Path::new(&folder.to_string()).exists());
    }
}
