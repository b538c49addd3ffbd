//! `restore`: a cell's database is restored from its backups beside the running one, as an operator would
//! have it, and compared with what the cell had at the same position of its WAL.
//!
//! The cell finishes a piece of WAL and counts its rows; nothing is held, filtered or limited. The program
//! that restores ends with the run, however that ends, and takes away what it has made.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;
use topology::{CellId, SiteId};

use super::{Bench, Injection};
use crate::process::Process;
use crate::programs;

/// What it restores with.
const NEEDS: &str = "pgbackrest";

pub(crate) const WITHOUT: &str =
    "pgbackrest is not installed, so that there are no backups; apt-get install pgbackrest";

/// It stops a database nobody uses, and deletes its files.
const STOP: Duration = Duration::from_secs(15);

/// Lines of what it said that are shown when it fails.
const TAIL: usize = 4;

/// What a cell's backups gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// Tables that are not as they were, or that are missing.
    pub(crate) differing: u64,
    pub(crate) took: Duration,
    /// How long before that the archive had ended; not known of a site that has sent it nothing.
    pub(crate) behind: Option<Duration>,
}

/// What `platform restore --json` tells.
#[derive(Deserialize)]
struct Told {
    to: String,
    base_backup: String,
    seconds: f64,
    archived_ago_seconds: Option<f64>,
    compared_with: Option<String>,
    missing: Option<Vec<String>>,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
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
    let told = restoring.await.with_context(|| format!("restore {cell} from its backups"))?;
    injection.step(&bench.clock, format!("restored {cell} from base backup {}", told.base_backup));
    injection.restored = Some(told.restored());
    injection.proof.push(told.to_string());
    Ok(())
}

async fn restore(run_dir: &Path, cell: &CellId, within: Duration) -> anyhow::Result<Told> {
    // Unlike a signal from here, the kernel's reaches it when this process is killed, too.
    let mut command = runtime::child::tied("TERM", None);
    command.arg(programs::platform()?).args(["restore", cell.as_str(), "--to", "latest"]);
    command.args(["--check", "--json", "--run-dir"]).arg(run_dir);
    read(&ended(command.into(), within, STOP).await?)
}

/// Waits for a program to end by itself, and has it end when that takes too long.
async fn ended(mut command: Command, within: Duration, stop: Duration) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().context("start it")?;
    // Until it has ended: a run that is ended early looks after it no more.
    let mut stopped = Stopped(child.id().and_then(Process::with_pid));
    let mut ended = pin!(child.wait_with_output());
    if let Ok(output) = timeout(within, &mut ended).await {
        stopped.0 = None;
        return output.context("wait for it");
    }
    drop(stopped);
    match timeout(stop, &mut ended).await {
        Ok(_) => bail!("see it end within {within:?}: it was stopped"),
        Err(_) => bail!("see it end within {within:?}: it does not, though it was told to"),
    }
}

/// A program that is told to end when this is dropped, so that it takes away what it has made.
struct Stopped(Option<Process>);

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(process) = self.0
            && let Err(err) = process.signal(Signal::TERM)
        {
            tracing::warn!(pid = process.pid, error = %err, "program not told to end");
        }
    }
}

/// What differs is told, and no error of the program's.
fn read(output: &Output) -> anyhow::Result<Told> {
    if output.stdout.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("; ");
        bail!("it ended with {}: {tail}", output.status);
    }
    let told: Told = serde_json::from_slice(&output.stdout).context("understand what it told")?;
    if told.compared_with.is_none() {
        bail!("compare it: the cell is active nowhere");
    }
    Ok(told)
}

impl Told {
    /// Those that are not as they were, or not there at all.
    fn differing(&self) -> Vec<&str> {
        let tables = self.tables.iter().filter(|table| table.same != Some(true));
        let tables = tables.map(|table| table.name.as_str());
        tables.chain(self.missing.iter().flatten().map(String::as_str)).collect()
    }

    fn restored(&self) -> Restored {
        let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Restored {
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
    use super::*;

    async fn run_shell(script: &str, within: u64, stop: u64) -> anyhow::Result<Told> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let millis = Duration::from_millis;
        read(&ended(command, millis(within), millis(stop)).await?)
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
        let told = run_shell(&told("true", "[]"), LONG, LONG).await.unwrap();
        assert_eq!(
            told.to_string(),
            "all 12 rows of 2 tables are as in c1@east at WAL position 0/5"
        );
        let expected = Restored {
            differing: 0,
            took: Duration::from_millis(9500),
            behind: Some(Duration::from_millis(30_250)),
        };
        assert_eq!(told.restored(), expected);
    }

    #[tokio::test]
    async fn what_differs_is_a_finding_and_no_failure_to_restore() {
        let differs = format!("{}; exit 1", told("false", "[\"keys\"]"));
        let told = run_shell(&differs, LONG, LONG).await.unwrap();
        assert_eq!(told.to_string(), "not as in c1@east at WAL position 0/5: messages, keys");
        assert_eq!(told.restored().differing, 2);
    }

    #[tokio::test]
    async fn one_that_fails_is_told_with_what_it_said() {
        let why =
            async |script| run_shell(script, LONG, LONG).await.err().map(|err| err.to_string());
        let failed = why("echo copying >&2; echo no base backup >&2; exit 1").await;
        let expected = "it ended with exit status: 1: copying; no base backup";
        assert_eq!(failed.as_deref(), Some(expected));
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
        let stopped = run_shell(&script, 300, LONG).await.err().map(|err| err.to_string());
        assert_eq!(stopped.as_deref(), Some("see it end within 300ms: it was stopped"));
        assert!(!std::path::Path::new(&folder.to_string()).exists());
    }
}
