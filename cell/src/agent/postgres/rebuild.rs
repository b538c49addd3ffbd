//! Bringing a data directory back in line with the active site's: rewind, or copy everything.
//!
//! A marker on disk says that a rewind has begun: after a crash in the middle the directory is not
//! trusted any more, and is copied afresh. The old one is kept until the copy is complete.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, ensure};
use tracing::{info, warn};

use super::{Postgres, remove_folder};

impl Postgres {
    /// Rewinds a former primary onto the history of `source`, or, where that is not possible, copies
    /// the whole database. The server must be stopped.
    pub(crate) async fn rejoin(&self, source: SocketAddr) -> anyhow::Result<()> {
        if !self.has_data() || self.marker().exists() {
            return self.copy_from(source).await;
        }
        match self.rewind(source).await {
            Ok(()) => {
                self.rebuilt.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(err) => {
                warn!(error = format!("{err:#}"), "rewind failed; copying the whole database");
                self.copy_from(source).await
            }
        }
    }

    /// Returns whether the database is being copied or rewound.
    #[must_use]
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.marker().exists() || self.folder.join("data.new").exists()
    }

    /// Returns how often the database was rewound or copied anew.
    #[must_use]
    pub(crate) fn rebuilt(&self) -> u64 {
        self.rebuilt.load(Ordering::Relaxed)
    }

    /// Returns whether the directory is whole, and may have WAL that nobody else has.
    #[must_use]
    pub(crate) fn may_have_diverged(&self) -> bool {
        self.has_data() && self.was_primary() && !self.marker().exists()
    }

    /// Returns whether the server at `source` has become a primary.
    pub(crate) async fn is_promoted(&self, source: SocketAddr) -> anyhow::Result<bool> {
        let standby = self.ask(source, "SELECT pg_is_in_recovery()").await?;
        Ok(standby.trim() == "f")
    }

    async fn rewind(&self, source: SocketAddr) -> anyhow::Result<()> {
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
                    .arg(server(source));
                command.arg("--config-file").arg(self.folder.join("postgresql.conf"));
            })
            .await?;
        info!(%source, outcome = told.trim(), "rewound");
        self.unmark_primary()?;
        fs::remove_file(self.marker()).context("mark the rewind as done")
    }

    /// Runs one statement on another site's server.
    async fn ask(&self, source: SocketAddr, statement: &str) -> anyhow::Result<String> {
        self.binaries
            .run("psql", |command| {
                self.tool_environment(command);
                command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
                command.arg(server(source)).args(["--command", statement]);
            })
            .await
            .with_context(|| format!("ask {source}: {statement}"))
    }

    /// Copies the whole database of `source` into a new directory, and puts it in place when it is
    /// complete.
    pub(crate) async fn copy_from(&self, source: SocketAddr) -> anyhow::Result<()> {
        let new = self.folder.join("data.new");
        remove_folder(&new)?;
        self.binaries
            .run("pg_basebackup", |command| {
                self.tool_environment(command);
                command.arg("--pgdata").arg(&new);
                command.args(["--host", &source.ip().to_string()]);
                command.args(["--port", &source.port().to_string()]);
                command.args(["--username", "replicator", "--no-password"]);
                command.args(["--checkpoint", "fast", "--wal-method", "stream"]);
            })
            .await?;
        let old = self.folder.join("data.old");
        remove_folder(&old)?;
        if self.data.exists() {
            fs::rename(&self.data, &old).context("set the old database aside")?;
        }
        fs::rename(&new, &self.data).context("put the copy in its place")?;
        if self.marker().exists() {
            fs::remove_file(self.marker()).context("mark the rewind as overtaken")?;
        }
        self.unmark_primary()?;
        self.rebuilt.fetch_add(1, Ordering::Relaxed);
        info!(%source, "copied the whole database");
        Ok(())
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("rewind.in_progress")
    }
}

/// Returns how a tool finds another site's server.
fn server(source: SocketAddr) -> String {
    format!(
        "host={} port={} user=postgres dbname=postgres connect_timeout=2",
        source.ip(),
        source.port()
    )
}
