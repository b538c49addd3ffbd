//! The folder a cell is restored into, and the PostgreSQL that runs on it. Closed to everybody but
//! PostgreSQL's user.

use std::cell::RefCell;
use std::fmt;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use topology::spec::Repository;

use super::active::timeline;
use super::request::{Into, Request};
use crate::run_dir::RunDir;
use crate::terminal;
use runtime::moment::Moment;

/// How often the server is asked whether it has come to the end of recovery.
const POLL: Duration = Duration::from_millis(100);
/// A list of a few names, from a store that may be far away.
const LIST_LIMIT: Duration = Duration::from_mins(1);
/// Lines of its log shown when it ends by itself.
const TAIL: usize = 6;
/// What PostgreSQL says when the WAL ends before the moment asked for.
const TOO_EARLY: &str = "recovery ended before configured recovery target was reached";

pub(super) struct Scratch<'a> {
    request: &'a Request,
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    password: PathBuf,
    server: RefCell<Option<Child>>,
}

/// Where recovery ends.
pub(super) enum Goal {
    Time(Moment),
    /// Just before this position.
    Position(String),
    /// As far as the archive goes.
    End,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(moment) => write!(f, "{moment}"),
            Self::Position(position) => write!(f, "WAL position {position}"),
            Self::End => f.write_str("the end of the archive"),
        }
    }
}

impl<'a> Scratch<'a> {
    /// Makes the folder and its configuration.
    pub(super) fn prepare(request: &'a Request, run_dir: &RunDir) -> anyhow::Result<Self> {
        let folder = request.into.folder().to_owned();
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let data = folder.join("data");
        fs::create_dir(&data).context("make a folder for the data")?;
        for path in [&folder, &data] {
            fs::set_permissions(path, Permissions::from_mode(0o700))
                .with_context(|| format!("close {}", path.display()))?;
            request.own(path)?;
        }
        let scratch = Self {
            request,
            folder,
            port: free_port()?,
            password: run_dir.password(&request.cell, "postgres"),
            server: RefCell::new(None),
        };
        let repository = &request.spec.backup.repository;
        scratch.write("pgbackrest.conf", &scratch.archive(repository, run_dir)?)?;
        scratch.write("postgresql.conf", &scratch.settings())?;
        let access = "# The folder is closed to others; over the network the cell's passwords hold.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
";
        scratch.write("pg_hba.conf", access)?;
        Ok(scratch)
    }

    fn archive(&self, repository: &Repository, run_dir: &RunDir) -> anyhow::Result<String> {
        let keys = match repository.key_file(run_dir.path()) {
            Some(file) => {
                fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?
            }
            None => String::new(),
        };
        let (folder, cell) = (self.folder.display(), &self.request.cell);
        Ok(format!(
            "[global]
{}log-level-console=off
log-level-stderr=info
log-level-file=off
log-timestamp=n
log-path={folder}
lock-path={folder}
spool-path={folder}

[{cell}]
pg1-path={folder}/data
",
            repository.options(run_dir.path(), &keys)
        ))
    }

    /// Nobody can connect before recovery is over: there is no half restored cell to look at.
    fn settings(&self) -> String {
        let folder = self.folder.display();
        format!(
            "listen_addresses = '127.0.0.1'
port = {}
unix_socket_directories = '{folder}'
hba_file = '{folder}/pg_hba.conf'
hot_standby = off
archive_mode = off
shared_buffers = '32MB'
max_connections = 20
max_wal_senders = 0
wal_level = 'replica'
recovery_target_timeline = 'latest'
log_line_prefix = ''
",
            self.port
        )
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        runtime::file::replace(&path, content.as_bytes(), 0o600)
            .with_context(|| format!("write {}", path.display()))?;
        self.request.own(&path)
    }

    fn pgbackrest(&self) -> std::process::Command {
        let tools = &self.request.tools;
        let mut command = tools.tied(tools.pgbackrest.clone(), "KILL");
        command
            .arg(format!("--config={}", self.folder.join("pgbackrest.conf").display()))
            .arg(format!("--stanza={}", self.request.cell));
        command
    }

    /// Returns the newest timeline that the archive leads to; the first one leaves no such trace.
    pub(super) async fn newest_timeline(&self) -> anyhow::Result<Option<u32>> {
        let mut command = self.pgbackrest();
        command.args(["--recurse", "--filter=[.]history$", "repo-ls"]);
        command.arg(format!("archive/{}", self.request.cell));
        let listing = Command::from(command).stdin(Stdio::null()).kill_on_drop(true).output();
        let listed = tokio::time::timeout(LIST_LIMIT, listing).await;
        let listed = listed.context("look for timelines in the archive: it does not answer")?;
        let output = listed.context("run pgbackrest")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "look for timelines in the archive: {}", complaint.trim());
        Ok(newest(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Copies the right base backup here and sets where recovery is to end: of `timeline`, if there was more
    /// than the first. PostgreSQL's own search for the latest ends at the first number that the archive has not,
    /// such as that of a site which was promoted and died. Returns the backup's label.
    pub(super) async fn restore(
        &self,
        goal: &Goal,
        timeline: Option<u32>,
    ) -> anyhow::Result<String> {
        let mut command = self.pgbackrest();
        command.arg("--archive-mode=off");
        if let Some(timeline) = timeline {
            command.arg(format!("--target-timeline={timeline}"));
        }
        match goal {
            Goal::Time(moment) => {
                command.args(["--type=time", "--target-action=promote"]);
                command.arg(format!("--target={moment}"));
            }
            Goal::Position(position) => {
                command.args(["--type=lsn", "--target-exclusive", "--target-action=promote"]);
                command.arg(format!("--target={position}"));
            }
            Goal::End => {
                command.arg("--type=default");
            }
        }
        command.arg("restore");
        let mut child = Command::from(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("run pgbackrest")?;
        let output = child.stderr.take().context("read from pgbackrest")?;
        let mut lines = BufReader::new(output).lines();
        let (mut label, mut complaints) = (None, Vec::new());
        while let Some(line) = lines.next_line().await.context("read from pgbackrest")? {
            let line = line.trim();
            if let Some((_, rest)) = line.split_once("restore backup set ") {
                let found = rest.split([',', ' ']).next().unwrap_or_default();
                terminal::note(&format!("copying base backup {found}"));
                label = Some(found.to_owned());
            } else if !line.starts_with("INFO") && !line.contains("INFO:") {
                complaints.push(line.to_owned());
            }
        }
        let status = child.wait().await.context("wait for pgbackrest")?;
        let complaints = complaints.join("\n  ");
        ensure!(status.success(), "copy a base backup from before {goal}: {complaints}");
        if !complaints.is_empty() {
            terminal::note(&complaints);
        }
        Ok(label.unwrap_or_default())
    }

    /// Starts PostgreSQL and waits until it has replayed everything up to the goal.
    pub(super) async fn start(&self) -> anyhow::Result<()> {
        let log = self.folder.join("postgres.log");
        let out = fs::File::create(&log).with_context(|| format!("make {}", log.display()))?;
        self.request.own(&log)?;
        let mut command = self.request.tools.command("postgres", "QUIT");
        command
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-c")
            .arg(format!("config_file={}", self.folder.join("postgresql.conf").display()))
            .stdin(Stdio::null())
            .stdout(out.try_clone().context("share the log")?)
            .stderr(out);
        let child = Command::from(command).kill_on_drop(true).spawn().context("run postgres")?;
        *self.server.borrow_mut() = Some(child);
        terminal::note("replaying WAL");
        let mut shown = String::new();
        // Recovery takes as long as it takes; each file of WAL is progress that is shown.
        while self.request.tools.psql(&self.socket_to("postgres"), "SELECT 1;\n").await.is_err() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if self.ended() {
                if said.contains(TOO_EARLY) {
                    bail!(
                        "find a write after that moment in the archive: it ends before; --to latest \
                         restores as far as it goes"
                    );
                }
                let lines: Vec<&str> = said.lines().collect();
                let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
                bail!("recover the database:\n  {tail}");
            }
            if let Some(line) = said.lines().rfind(|line| line.contains("restored log file"))
                && line != shown
            {
                terminal::note(line);
                line.clone_into(&mut shown);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        let mut server = self.server.borrow_mut();
        !matches!(server.as_mut().map(Child::try_wait), Some(Ok(None)))
    }

    /// Returns how the programs here reach the server, in libpq's words.
    pub(super) fn socket(&self) -> String {
        format!("host={} port={} user=postgres", self.folder.display(), self.port)
    }

    fn socket_to(&self, database: &str) -> String {
        format!("{} dbname={database}", self.socket())
    }

    pub(super) fn how_to_connect(&self) -> String {
        let (port, password) = (self.port, self.password.display());
        format!(
            "connect    PGPASSWORD=$(cat {password}) psql -h 127.0.0.1 -p {port} -U postgres cell\n\
             stop       Ctrl-C{}",
            match &self.request.into {
                Into::Named(folder) => format!("; {} stays", folder.display()),
                Into::Own(_) => ", which removes it".to_owned(),
            }
        )
    }

    pub(super) async fn stop(&self, limit: Duration) {
        let Some(mut child) = self.server.borrow_mut().take() else { return };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::INT).is_ok());
        if !asked || tokio::time::timeout(limit, child.wait()).await.is_err() {
            // Its own death signal takes what is left.
            drop(child);
        }
    }

    pub(super) fn remove_unless_named(&self) -> anyhow::Result<()> {
        match &self.request.into {
            Into::Named(_) => Ok(()),
            Into::Own(folder) => {
                fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
            }
        }
    }
}

/// Returns the timeline of the newest database that has any, of lines such as `15-1/00000007.history`.
fn newest(told: &str) -> Option<u32> {
    let found = told.lines().filter_map(|line| {
        let (database, file) = line.trim().split_once('/')?;
        let (_version, number) = database.split_once('-')?;
        Some((number.parse::<u32>().ok()?, timeline(file)?))
    });
    found.max().map(|(_database, timeline)| timeline)
}

/// Free at this moment; if somebody else takes it, PostgreSQL says so and nothing else happens.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_timeline_is_that_of_the_newest_database() {
        let told = "15-1/00000009.history\n15-2/00000002.history\n15-2/0000000A.history\n";
        assert_eq!(newest(told), Some(10));
        assert_eq!(newest(""), None);
    }
}
