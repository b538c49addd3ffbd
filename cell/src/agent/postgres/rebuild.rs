//! Bringing a data directory back in line with the active site's: rewind, or copy everything.
//!
//! `decide/folder.rs` says what is done after a crash in the middle. The directory that a copy takes
//! the place of is kept until the copy streams; one with writes that could not be kept otherwise, until
//! a person removes it. Both need room on the disk: without it the copy fails and is tried again, and
//! nothing is removed to make room.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context as _, ensure};
use tracing::{info, warn};

use super::{Postgres, remove_folder};
use crate::agent::decide::folder::{Data, Fate, Folder, Next, fate, next};

/// Whether what only this site has is kept otherwise than by its data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Kept,
    Unreported,
}

impl Postgres {
    /// Returns what is to be done with the data directory before it can follow.
    #[must_use]
    pub(crate) fn next(&self) -> Next {
        let data = match (self.data.exists(), self.has_data(), self.was_primary()) {
            (false, _, _) => Data::Absent,
            (true, false, _) => Data::Unusable,
            (true, true, false) => Data::InLine,
            (true, true, true) => Data::OutOfLine,
        };
        next(Folder { data, old: self.has_old(), rewinding: self.is_rewinding() })
    }

    /// Rewinds a former primary onto the history of `source`, or, where that is not possible, copies
    /// the whole database. The server must be stopped, and what only it has must be kept.
    pub(crate) async fn rejoin(&self, source: SocketAddr) -> anyhow::Result<()> {
        match self.rewind(source).await {
            Ok(()) => {
                self.rebuilt.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(err) => {
                warn!(error = format!("{err:#}"), "rewind failed; copying the whole database");
                self.copy_from(source, Own::Kept).await
            }
        }
    }

    /// Returns whether the database is being copied or rewound.
    #[must_use]
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.is_rewinding() || self.folder.join("data.new").exists()
    }

    /// Returns how often the database was rewound or copied anew.
    #[must_use]
    pub(crate) fn rebuilt(&self) -> u64 {
        self.rebuilt.load(Ordering::Relaxed)
    }

    /// Returns whether a rewind was begun that is not known to have ended.
    #[must_use]
    pub(crate) fn is_rewinding(&self) -> bool {
        self.marker().exists()
    }

    /// Returns whether the server at `source` has become a primary.
    pub(crate) async fn is_promoted(&self, source: SocketAddr) -> anyhow::Result<bool> {
        let standby = self.ask(source, "SELECT pg_is_in_recovery()").await?;
        Ok(standby.trim() == "f")
    }

    pub(super) async fn rewind(&self, source: SocketAddr) -> anyhow::Result<()> {
        // pg_rewind has such a server recover in single-user mode, which refuses a standby's. Recovered without
        // that mark it would stop at the end of its last checkpoint's timeline: pages of a later one that it had
        // replayed would stay, and be in no comparison.
        ensure!(!self.was_killed_as_standby()?, "rewind a server that was killed as a standby");
        // Up to version 15 pg_rewind believes the source's control file, which names the timeline of
        // its last checkpoint: before that it would find nothing to rewind.
        self.ask(source, "CHECKPOINT").await.context("write a checkpoint on its timeline")?;
        // A promotion numbers its timeline by what its own site has seen: a winner that nobody has heard
        // of, and the next one, take the same number. pg_rewind compares the numbers, finds nothing to
        // do, and a directory with a history of its own would follow, and confirm what it does not have.
        ensure!(self.is_told_apart(source).await?, "rewind on the source's own timeline");
        runtime::file::replace(&self.marker(), b"", 0o600).context("mark the rewind as begun")?;
        let told = self
            .binaries
            .run("pg_rewind", |command| {
                self.tool_environment(command);
                command
                    .arg("--target-pgdata")
                    .arg(&self.data)
                    .arg("--source-server")
                    .arg(server(source, "postgres"));
                command.arg("--config-file").arg(self.folder.join("postgresql.conf"));
            })
            .await?;
        info!(%source, outcome = told.trim(), "rewound");
        self.is_in_line()
    }

    /// Notes that the data directory is whole and in line.
    fn is_in_line(&self) -> anyhow::Result<()> {
        self.unmark_primary()?;
        if self.marker().exists() {
            fs::remove_file(self.marker()).context("mark the rewind as done")?;
        }
        Ok(())
    }

    /// Runs one statement on another site's server.
    async fn ask(&self, source: SocketAddr, statement: &str) -> anyhow::Result<String> {
        self.binaries
            .run("psql", |command| {
                self.tool_environment(command);
                command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
                command.arg(server(source, "postgres")).args(["--command", statement]);
            })
            .await
            .with_context(|| format!("ask {source}: {statement}"))
    }

    /// Copies the whole database of `source` into a new directory, and puts it in place when it is
    /// complete.
    pub(crate) async fn copy_from(&self, source: SocketAddr, own: Own) -> anyhow::Result<()> {
        let new = self.folder.join("data.new");
        remove_folder(&new)?;
        self.binaries
            .run("pg_basebackup", |command| {
                self.tool_environment(command);
                command.arg("--pgdata").arg(&new);
                command.args(["--dbname", &server(source, "replicator"), "--no-password"]);
                command.args(["--checkpoint", "fast", "--wal-method", "stream"]);
            })
            .await?;
        self.take_copy(&new, own)?;
        self.rebuilt.fetch_add(1, Ordering::Relaxed);
        info!(%source, "copied the whole database");
        Ok(())
    }

    /// Puts a complete copy in the place of what is there.
    pub(super) fn take_copy(&self, new: &Path, own: Own) -> anyhow::Result<()> {
        // Whoever finds it in its place must not take it for a primary's.
        self.write_standby_signal(new)?;
        if self.data.exists() {
            match fate(own == Own::Unreported, self.has_own_writes(), self.has_old()) {
                Fate::Old => {
                    remove_folder(&self.old())?;
                    fs::rename(&self.data, self.old()).context("set the old database aside")?;
                }
                Fate::Gone => remove_folder(&self.data)?,
                Fate::Aside => {
                    let aside = self.free_place()?;
                    fs::rename(&self.data, &aside).context("set the database aside")?;
                    warn!(folder = %aside.display(), "database with unreported writes set aside");
                }
            }
        }
        fs::rename(new, &self.data).context("put the copy in its place")?;
        self.is_in_line()
    }

    /// Puts back what was set aside for a copy that never came into its place.
    pub(crate) fn put_back(&self) -> anyhow::Result<()> {
        // It may be older than what this site has said that it has: it does not vote.
        self.mark_out_of_line()?;
        fs::rename(self.old(), &self.data).context("put the old database back")?;
        info!("old database put back: its copy had not been put in its place");
        Ok(())
    }

    /// Forgets the database that this one took the place of: it streams. Does nothing without one.
    pub(crate) async fn forget_old(&self) -> anyhow::Result<()> {
        let gone = self.folder.join("data.gone");
        if self.has_old() {
            remove_folder(&gone)?;
            // Nobody must find half of it under its name.
            fs::rename(self.old(), &gone).context("take the old database away")?;
        }
        tokio::task::spawn_blocking(move || remove_folder(&gone))
            .await
            .context("remove the old database")?
    }

    /// Returns whether a database is kept that this one took the place of.
    #[must_use]
    pub(crate) fn has_old(&self) -> bool {
        self.old().exists()
    }

    /// Returns the databases with writes that nobody else has and no report lists.
    pub(crate) fn unreported(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let entries = fs::read_dir(&self.folder);
        for entry in entries.with_context(|| format!("read {}", self.folder.display()))? {
            let path = entry.context("look for databases set aside")?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(UNREPORTED) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    fn free_place(&self) -> anyhow::Result<PathBuf> {
        let mut places = (1u32..).map(|number| self.folder.join(format!("{UNREPORTED}{number}")));
        places.find(|place| !place.exists()).context("find a name that is free")
    }

    fn old(&self) -> PathBuf {
        self.folder.join("data.old")
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("rewind.in_progress")
    }
}

/// How a database that is kept for a person is called, with a number.
const UNREPORTED: &str = "data.unreported-";

/// How a tool gives up a source that is gone without a word, as when its region is cut off: without these it
/// would wait for hours, and the site with it. The source itself gives up after three seconds.
const GIVES_UP: &str = "connect_timeout=2 tcp_user_timeout=5000 \
                        keepalives_idle=2 keepalives_interval=1 keepalives_count=3";

/// Returns how a tool finds another site's server.
fn server(source: SocketAddr, user: &str) -> String {
    format!("host={} port={} user={user} {GIVES_UP}", source.ip(), source.port())
}
