//! The WAL archive as this server sees it: what it is told to run, what waits to be sent, what it
//! still has.
//!
//! Writes never wait for the archive. What cannot be sent is kept in `pg_wal` up to a bound, and
//! beyond it dropped by pgBackRest, which tells PostgreSQL that it was sent: `backup.rs` looks into
//! the archive itself.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use runtime::process::Process;
use rustix::process::Signal;
use serde::Deserialize;
use tracing::info;

use super::Postgres;
use super::wal::History;

/// What PostgreSQL runs while nothing archives: it succeeds, so that no WAL waits for ever.
const NOTHING: &str = "/bin/true";
/// What `archive.conf` says for a stop.
const OFF: &str = "archive_command = ''\n";
/// A planned move has half a second in all; without this it still is a clean stop, only later.
const STOP_ARCHIVING: Duration = Duration::from_millis(100);

/// What the server is told to do with finished WAL; `None` while nothing archives.
#[derive(Default)]
pub(super) struct Archive(Mutex<Option<Sending>>);

/// How finished WAL is sent.
#[derive(Clone)]
pub(crate) struct Sending {
    /// A shell's command, with `%p` for the file.
    pub(crate) command: String,
    /// WAL is finished after this long even when little of it was written.
    pub(crate) every: Duration,
}

/// What a primary says of its archiving, at one moment.
#[derive(Debug, Deserialize)]
pub(crate) struct Archiver {
    /// How long ago the last try failed, if none has succeeded since.
    pub(crate) failed_seconds: Option<f64>,
    /// Finished WAL that has not been sent, by file name.
    pub(crate) waiting: BTreeSet<String>,
    /// How long the oldest of it has waited.
    pub(crate) waiting_seconds: f64,
    /// The file being written: everything before it is finished.
    pub(crate) current: String,
    /// Bytes in one file.
    pub(crate) segment_size: u64,
    pub(crate) system: u64,
}

impl Postgres {
    /// Sets what is done with finished WAL from now on, also by a server that runs, which tries at
    /// once.
    pub(crate) fn archive_with(&self, sending: Option<Sending>) -> anyhow::Result<()> {
        *self.archive.lock() = sending;
        self.write_archive()?;
        if self.is_running() { self.reload() } else { Ok(()) }
    }

    /// Writes what the next start is to go by; what is there may be of a stop.
    pub(super) fn write_archive(&self) -> anyhow::Result<()> {
        let sending = self.archive.lock().clone();
        let (command, every) = match &sending {
            Some(sending) => (sending.command.as_str(), sending.every.as_secs()),
            None => (NOTHING, 0),
        };
        self.write(
            "archive.conf",
            &format!(
                "archive_command = '{}'\narchive_timeout = {every}\n",
                command.replace('\'', "''")
            ),
        )
    }

    /// Lets the server stop without its archive: a clean stop would otherwise finish a piece of WAL,
    /// send it and what waits, and with an archive that fails or hangs take longer than a planned
    /// move may. What is left is sent by the next active site, which has it too.
    pub(crate) async fn stop_archiving(&self) {
        let stopped = async {
            let conf = self.folder.join("archive.conf");
            if !fs::read_to_string(conf).is_ok_and(|text| text == OFF) {
                self.write("archive.conf", OFF)?;
                self.reload()?;
            }
            // Users wait: the server is asked only if it may be at it.
            if self.has_wal_to_send() { self.end_sending().await } else { Ok(()) }
        };
        let stopped = tokio::time::timeout(STOP_ARCHIVING, stopped).await;
        if let Err(err) = stopped.context("wait for PostgreSQL").flatten() {
            info!(error = format!("{err:#}"), "stopping with archiving on");
        }
    }

    /// Ends the command that sends a piece of WAL now, if one does.
    async fn end_sending(&self) -> anyhow::Result<()> {
        let archiver = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity
            WHERE backend_type = 'archiver'";
        let archiver: i32 = self.sql.one(archiver).await?;
        let Some(archiver) = u32::try_from(archiver).ok().and_then(Process::with_pid) else {
            return Ok(());
        };
        for command in archiver.descendants().into_iter().filter(|child| *child != archiver) {
            command.signal(Signal::KILL).context("end the archive command")?;
        }
        Ok(())
    }

    /// Returns whether a piece of WAL is being sent or waits to be; if in doubt, one does.
    fn has_wal_to_send(&self) -> bool {
        let Ok(marks) = fs::read_dir(self.wal_folder().join("archive_status")) else { return true };
        marks.into_iter().any(|mark| {
            mark.is_ok_and(|mark| mark.file_name().to_string_lossy().ends_with(".ready"))
        })
    }

    /// Asks a primary how its archiving goes.
    pub(crate) async fn archiver(&self) -> anyhow::Result<Archiver> {
        let seen: String = self
            .sql
            .one(
                "SELECT json_build_object(
                    'failed_seconds', CASE WHEN last_failed_time >
                        coalesce(last_archived_time, '-infinity')
                        THEN extract(epoch FROM now() - last_failed_time) END,
                    'waiting', coalesce(waiting.files, '[]'),
                    'waiting_seconds', coalesce(extract(epoch FROM now() - waiting.oldest), 0),
                    'current', pg_walfile_name(pg_current_wal_flush_lsn()),
                    'segment_size', (SELECT setting::bigint FROM pg_settings
                        WHERE name = 'wal_segment_size'),
                    'system', (SELECT system_identifier FROM pg_control_system()))::text
                 FROM pg_stat_archiver, (SELECT
                    json_agg(replace(name, '.ready', '')) files, min(modification) oldest
                    FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') waiting",
            )
            .await?;
        serde_json::from_str(&seen).context("read how archiving goes")
    }

    /// Returns which timelines lead to `timeline`, as PostgreSQL wrote it down here; the first has no
    /// such file.
    pub(crate) fn history(&self, timeline: u32) -> anyhow::Result<History> {
        let path = self.history_path(timeline);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == ErrorKind::NotFound && timeline == 1 => String::new(),
            Err(err) => return Err(err).with_context(|| format!("read {}", path.display())),
        };
        History::read(&text, timeline).with_context(|| format!("understand {}", path.display()))
    }

    /// Returns the names of what is in `pg_wal`.
    pub(crate) fn wal_files(&self) -> anyhow::Result<BTreeSet<String>> {
        let folder = self.wal_folder();
        fs::read_dir(&folder)
            .and_then(|entries| {
                entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
            })
            .with_context(|| format!("list {}", folder.display()))
    }

    /// Has finished WAL sent again that counts as sent: what a standby received does, whether or not
    /// the active site of that time still sent it. Sending twice does no harm.
    pub(crate) fn send_again(&self, file: &str) -> anyhow::Result<()> {
        let status = self.wal_folder().join("archive_status");
        let (done, ready) =
            (status.join(format!("{file}.done")), status.join(format!("{file}.ready")));
        match fs::rename(&done, &ready) {
            // It waits to be sent already.
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
            result => result.with_context(|| format!("have {file} sent again")),
        }
    }

    /// Returns the server's data directory and port, for pgBackRest's configuration.
    pub(crate) fn place(&self) -> (&Path, u16) {
        (&self.data, self.address.port())
    }

    /// Writes a file beside the data directory, readable to nobody but PostgreSQL's user.
    pub(crate) fn write_beside(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        self.write(name, content)?;
        Ok(self.folder.join(name))
    }

    /// Makes a folder that belongs to PostgreSQL's user; one that is there is left as it is.
    pub(crate) fn make_folder(&self, folder: &Path) -> anyhow::Result<()> {
        if folder.exists() {
            return Ok(());
        }
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        self.binaries.own(folder)
    }

    /// Lets a tool find this server: there is no socket file.
    pub(crate) fn connect_tool(&self, command: &mut Command) {
        self.tool_environment(command);
        command.env("PGHOST", self.address.ip().to_string());
    }
}

impl Archive {
    fn lock(&self) -> MutexGuard<'_, Option<Sending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
