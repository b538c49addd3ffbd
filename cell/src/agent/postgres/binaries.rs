//! PostgreSQL's programs: where they are, and as whom they run.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Where Debian puts each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user PostgreSQL runs as when the agent is root: it refuses to run as root.
const USER: &str = "postgres";

/// The newest installed version.
pub(crate) struct Binaries {
    folder: PathBuf,
    /// User and group to run as; `None` when the agent itself is an ordinary user.
    owner: Option<(u32, u32)>,
}

impl Binaries {
    /// Finds the programs and the user, or says what to install.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let newest = fs::read_dir(VERSIONS)
            .with_context(|| format!("find PostgreSQL in {VERSIONS}; install postgresql"))?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let version: u32 = entry.file_name().to_str()?.parse().ok()?;
                let folder = entry.path().join("bin");
                folder.join("postgres").exists().then_some((version, folder))
            })
            .max()
            .with_context(|| format!("find a server in {VERSIONS}; install postgresql"))?;
        let owner = if rustix::process::geteuid().is_root() { Some(user(USER)?) } else { None };
        Ok(Self { folder: newest.1, owner })
    }

    /// Returns a program's command line, ready for arguments. It runs as PostgreSQL's user and gets
    /// `death_signal` when the agent is gone.
    pub(crate) fn command(&self, program: &str, death_signal: &str) -> Command {
        let mut command = runtime::child::tied(death_signal, self.owner);
        command.arg(self.folder.join(program));
        // The folder the agent was started in may be closed to PostgreSQL's user.
        command.current_dir("/").env_remove("PGDATA").env_remove("PGHOST");
        command
    }

    /// Runs a program to its end and returns what it printed, or what it complained about.
    pub(crate) async fn run(
        &self,
        program: &str,
        arguments: impl FnOnce(&mut Command),
    ) -> anyhow::Result<String> {
        let mut command = self.command(program, "KILL");
        arguments(&mut command);
        let mut command = tokio::process::Command::from(command);
        let output = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("run {program}"))?;
        ensure!(
            output.status.success(),
            "run {program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a program that ends with an error when it comes to the end, and returns what it printed.
    /// Fails if it misses a file, unless what there is `is_whole`: then it is the one that was due next.
    pub(crate) async fn dump(
        &self,
        program: &str,
        is_whole: bool,
        arguments: impl FnOnce(&mut Command),
    ) -> anyhow::Result<String> {
        let mut command = self.command(program, "KILL");
        command.env("LC_ALL", "C");
        arguments(&mut command);
        let mut command = tokio::process::Command::from(command);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = output.await.with_context(|| format!("run {program}"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let misses_one = complaint.contains("could not find file") && !is_whole;
        ensure!(!misses_one, "run {program}: {}", complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Gives a file or folder, with what is directly in it, to PostgreSQL's user.
    pub(crate) fn own(&self, path: &Path) -> anyhow::Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        let give = |path: &Path| {
            chown(path, Some(user), Some(group))
                .with_context(|| format!("give {} to {USER}", path.display()))
        };
        give(path)?;
        if path.is_dir() {
            for entry in fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
                give(&entry.context("read the folder")?.path())?;
            }
        }
        Ok(())
    }
}

/// Looks a user up in `/etc/passwd`: user and group number.
fn user(name: &str) -> anyhow::Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != name {
                return None;
            }
            let user = fields.nth(1)?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some((user, group))
        })
        .with_context(|| format!("find user {name} in /etc/passwd; install postgresql"))
}
