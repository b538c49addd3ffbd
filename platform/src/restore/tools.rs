//! The programs a restore runs: where they are, and as whom.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;

use crate::preflight;

/// Every row of a cell may be counted, which takes minutes; a server that is lost meanwhile says nothing.
const QUERY_LIMIT: Duration = Duration::from_hours(1);

pub(super) struct Tools {
    postgres: PathBuf,
    pub(super) pgbackrest: PathBuf,
    pub(super) owner: Option<(u32, u32)>,
    /// Passwords, by server and role.
    pub(super) passfile: PathBuf,
}

impl Tools {
    /// Finds the programs, or a line for each that is missing.
    pub(super) fn find(passfile: PathBuf) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let pgbackrest = preflight::on_path("pgbackrest", "pgbackrest").unwrap_or_else(|problem| {
            problems.push(problem);
            PathBuf::new()
        });
        let postgres = preflight::newest_postgres().unwrap_or_else(|| {
            problems.push("PostgreSQL: not installed; apt-get install postgresql".to_owned());
            PathBuf::new()
        });
        if problems.is_empty() {
            Ok(Self { postgres, pgbackrest, owner: preflight::postgres_owner(), passfile })
        } else {
            Err(problems)
        }
    }

    /// Returns a program of PostgreSQL's, as PostgreSQL's user, ready for arguments.
    pub(super) fn command(&self, program: &str, death_signal: &str) -> Command {
        self.tied(self.postgres.join(program), death_signal)
    }

    pub(super) fn tied(&self, program: PathBuf, death_signal: &str) -> Command {
        let mut command = runtime::child::tied(death_signal, self.owner);
        command.arg(program).current_dir("/");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("PGPASSFILE", &self.passfile).env("PGCONNECT_TIMEOUT", "3");
        command
    }

    /// Runs statements and returns what they gave, a row a line, its fields divided by `|`.
    pub(super) async fn psql(&self, server: &str, script: &str) -> anyhow::Result<String> {
        let mut command = self.command("psql", "KILL");
        command.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"]);
        command.args(["--set", "ON_ERROR_STOP=1", server]);
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("run psql")?;
        let mut input = child.stdin.take().context("write to psql")?;
        input.write_all(script.as_bytes()).await.context("write to psql")?;
        drop(input);
        let ended = tokio::time::timeout(QUERY_LIMIT, child.wait_with_output()).await;
        let output = ended.context("wait for psql: no answer in an hour")?;
        let output = output.context("wait for psql")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "run psql: {}", complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
