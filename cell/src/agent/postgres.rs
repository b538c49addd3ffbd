//! The site's PostgreSQL: start, stop, promote, follow. Knows nothing of epochs' meaning and decides
//! nothing; `keep.rs` tells it what to do.
//!
//! The agent's configuration lives outside the data directory, because `pg_rewind` copies every
//! file inside it. The server is a child with a death signal: an agent that is killed takes it along.

mod archive;
mod binaries;
mod configuration;
mod divergence;
mod left;
mod marks;
mod position;
mod protocol;
mod rebuild;
mod salvage;
mod sql;
mod stop;
mod timeline;
mod wal;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::Instant;
use topology::RegionId;
use topology::address::Port;
use tracing::info;

use super::decide::folder::Next;
use crate::config::Site;

use archive::Archive;
pub(crate) use archive::{Archiver, Sending};
pub(crate) use binaries::Binaries;
pub(crate) use configuration::{SOCKET_PORT, Source, Upstream, standby_name};
pub(crate) use left::{AFTER_WRITING, AT_ONCE};
pub(crate) use position::Position;
pub(crate) use protocol::Kept;
pub(crate) use rebuild::Own;
pub(crate) use sql::{Replication, Sql};
pub(crate) use stop::Stop;
pub(crate) use timeline::Head;
pub(crate) use wal::{History, Segment, SegmentSize, lsn, parse_lsn};

/// How often a state that PostgreSQL does not announce is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(5);
/// Recovery from a crash of a small database; a larger one logs progress and may be waited for again.
const START_LIMIT: Duration = Duration::from_mins(1);
/// A promotion that takes longer has gone wrong: 202 ms were measured on a loaded machine.
const PROMOTE_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Postgres {
    pub(crate) binaries: Binaries,
    pub(crate) sql: Sql,
    /// Everything of this server; owned by the user it runs as.
    folder: PathBuf,
    data: PathBuf,
    address: SocketAddr,
    /// Where a server is read that must not be taken for the cell's.
    aside: SocketAddr,
    passwords: Passwords,
    log: PathBuf,
    child: Mutex<Option<Child>>,
    /// The server that runs.
    pub(crate) pid: watch::Sender<Option<u32>>,
    archive: Archive,
    /// How often the data directory was rewound or copied anew.
    rebuilt: AtomicU64,
    /// The folders of the sockets by which the WAL of other regions comes; of the rest it comes directly.
    ways: BTreeMap<RegionId, PathBuf>,
}

/// The cell's database passwords, by role.
pub(super) struct Passwords {
    postgres: String,
    replicator: String,
    service: String,
}

impl Postgres {
    /// Prepares the folder and the configuration; starts nothing.
    pub(crate) fn open(site: &Site) -> anyhow::Result<Self> {
        Self::at(
            site.folder().join("postgres"),
            (site.address(Port::Postgres), site.address(Port::PostgresAside)),
            site.run_dir.join("logs").join(format!("{}-postgres.log", site.id)),
            Passwords::read(site)?,
        )
    }

    fn at(
        folder: PathBuf,
        (address, aside): (SocketAddr, SocketAddr),
        log: PathBuf,
        passwords: Passwords,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let postgres = Self {
            sql: Sql::open(address, &passwords.postgres)?,
            data: folder.join("data"),
            log,
            binaries: Binaries::find()?,
            folder,
            address,
            aside,
            passwords,
            child: Mutex::new(None),
            pid: watch::channel(None).0,
            archive: Archive::default(),
            rebuilt: AtomicU64::new(0),
            ways: BTreeMap::new(),
        };
        postgres.write_static_configuration()?;
        postgres.binaries.own(&postgres.folder)?;
        if postgres.next() == Next::PutBack {
            postgres.put_back()?;
        }
        Ok(postgres)
    }

    /// Has the WAL of these regions come by sockets from now on, each in a folder of its own.
    pub(crate) fn comes_by(&mut self, ways: BTreeMap<RegionId, PathBuf>) {
        self.ways = ways;
    }

    /// Logs in to another site's server as its standby of this name, and asks for nothing yet.
    pub(crate) async fn log_in(
        &self,
        server: SocketAddr,
        name: &str,
        round_trip: Duration,
    ) -> anyhow::Result<Kept> {
        protocol::log_in(server, &self.passwords.replicator, name, round_trip).await
    }

    /// Returns how many bytes are left on the file system that the data is on.
    pub(crate) fn room(&self) -> anyhow::Result<u64> {
        let seen = rustix::fs::statvfs(&self.folder)
            .with_context(|| format!("ask for the room in {}", self.folder.display()))?;
        Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
    }

    /// Returns whether a database has been made or cloned here.
    #[must_use]
    pub(crate) fn has_data(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    /// Returns whether the data directory is a standby's, rather than a primary's.
    #[must_use]
    pub(crate) fn is_standby(&self) -> bool {
        self.data.join("standby.signal").exists()
    }

    /// Returns whether the server is running, and reaps it if it has ended.
    #[must_use]
    pub(crate) fn is_running(&self) -> bool {
        let mut child = self.child();
        let runs = matches!(child.as_mut().map(Child::try_wait), Some(Ok(None)));
        if !runs && child.take().is_some() {
            self.pid.send_replace(None);
        }
        runs
    }

    /// Makes the cell's first database. Only the site the spec names does this, and only while the
    /// cell has never had one.
    pub(crate) async fn create(&self) -> anyhow::Result<()> {
        let password = self.folder.join("initial.password");
        runtime::file::replace(&password, self.passwords.postgres.as_bytes(), 0o600)?;
        self.binaries.own(&password)?;
        let new = self.folder.join("data.new");
        remove_folder(&new)?;
        self.binaries
            .run("initdb", |command| {
                command
                    .arg("--pgdata")
                    .arg(&new)
                    .args(["--username", "postgres", "--auth-host", "scram-sha-256"])
                    .args(["--auth-local", "reject", "--encoding", "UTF8", "--locale", "C.UTF-8"])
                    // The smallest there is. A standby that changes its source is sent the segment
                    // from its beginning, twice over a new timeline, while users wait, unless it is
                    // just where that begins (`relay/splice.rs`); and a quiet cell fills one with
                    // nothing each minute, for the archive and the standbys.
                    .args(["--wal-segsize", "1", "--data-checksums", "--pwfile"])
                    .arg(&password);
            })
            .await?;
        fs::remove_file(&password).context("remove the initial password")?;
        fs::rename(&new, &self.data).context("put the new database in its place")
    }

    /// Starts the server as a standby and waits until it answers.
    pub(crate) async fn start_standby(&self, upstream: &Upstream) -> anyhow::Result<()> {
        ensure!(!self.is_running(), "start PostgreSQL twice");
        // It would not start beside them.
        self.is_alone(AT_ONCE).await;
        self.write_standby_signal(&self.data)?;
        self.write_upstream(upstream)?;
        self.start().await
    }

    fn write_standby_signal(&self, data: &Path) -> anyhow::Result<()> {
        let signal = data.join("standby.signal");
        if !signal.exists() {
            fs::write(&signal, "").context("mark the data directory as a standby's")?;
            self.binaries.own(&signal)?;
        }
        Ok(())
    }

    /// Returns where the WAL's segments are.
    #[must_use]
    pub(crate) fn wal_folder(&self) -> PathBuf {
        self.data.join("pg_wal")
    }

    /// Starts the server as its data directory says, with the settings written before, and waits
    /// until it answers.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        ensure!(!self.is_running(), "start PostgreSQL twice");
        self.spawn(&[])?;
        self.is_up(&self.sql).await?;
        info!(standby = self.is_standby(), "PostgreSQL started");
        Ok(())
    }

    /// Waits until the server answers.
    async fn is_up(&self, sql: &Sql) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !sql.answers().await {
            ensure!(self.is_running(), "start PostgreSQL; {} says why", self.log.display());
            ensure!(Instant::now() < deadline, "start PostgreSQL within {START_LIMIT:?}");
            tokio::time::sleep(POLL * 4).await;
        }
        Ok(())
    }

    /// Starts the server, with some settings other than usual.
    fn spawn(&self, unusual: &[String]) -> anyhow::Result<()> {
        self.write_archive()?;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let mut command = self.binaries.command("postgres", "QUIT");
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-c")
            .arg(format!("config_file={}", self.folder.join("postgresql.conf").display()))
            .args(unusual.iter().flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log);
        let child = command.spawn().context("run postgres")?;
        self.pid.send_replace(Some(child.id()));
        *self.child() = Some(child);
        Ok(())
    }

    /// Makes the running standby the primary of a new timeline.
    pub(crate) async fn promote(&self) -> anyhow::Result<()> {
        self.sql.execute("SELECT pg_promote(false)").await.context("ask for promotion")?;
        let deadline = Instant::now() + PROMOTE_LIMIT;
        while self.sql.is_standby().await? {
            ensure!(Instant::now() < deadline, "finish the promotion within {PROMOTE_LIMIT:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Returns whether a standby receives WAL; a server that does not answer receives none.
    pub(crate) async fn is_streaming(&self) -> bool {
        self.sql.is_streaming().await.unwrap_or(false)
    }

    /// Makes the roles and the cell's own database, where they are missing.
    pub(crate) async fn make_roles_and_database(&self) -> anyhow::Result<()> {
        let make_roles = format!(
            "DO $$ BEGIN
               IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'replicator') THEN
                 CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{}';
                 CREATE ROLE service LOGIN PASSWORD '{}';
               END IF;
             END $$",
            self.passwords.replicator, self.passwords.service
        );
        self.sql.execute(&make_roles).await.context("make the database roles")?;
        let exists = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'cell')";
        if !self.sql.one::<bool>(exists).await? {
            self.sql.execute("CREATE DATABASE cell").await.context("make the cell's database")?;
        }
        Ok(())
    }

    /// Applies changed settings to the running server.
    fn reload(&self) -> anyhow::Result<()> {
        if !self.is_running() {
            bail!("reload PostgreSQL, which is not running");
        }
        self.signal(Signal::HUP);
        Ok(())
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passwords {
    fn read(site: &Site) -> anyhow::Result<Self> {
        let read = |role: &str| {
            let path = site.password_file(role);
            fs::read_to_string(&path)
                .map(|text| text.trim().to_owned())
                .with_context(|| format!("read {}", path.display()))
        };
        // They become part of SQL and of PostgreSQL's password file.
        let plain = |role: &str| {
            let password = read(role)?;
            let plain = !password.is_empty() && password.chars().all(|c| c.is_ascii_alphanumeric());
            ensure!(plain, "accept the password of {role}: only letters and digits");
            Ok(password)
        };
        Ok(Self {
            postgres: plain("postgres")?,
            replicator: plain("replicator")?,
            service: plain("service")?,
        })
    }
}

fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
