//! The cell's active site, while the platform runs: what its rows are at one position in the WAL, and
//! that the archive has all of it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::clock::BootTime;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use topology::SiteId;
use topology::address::Port;

use super::checksum::{self, Checksums};
use super::request::Request;
use super::tools::Tools;
use crate::readiness::Observer;
use crate::run_dir::RunDir;

/// How long the archive may take for one piece of WAL: it is sent at once, unless sending fails.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);
/// A snapshot waits for the transactions that are under way: milliseconds, and seconds at most.
const SNAPSHOT_LIMIT: Duration = Duration::from_secs(15);

pub(super) struct Active {
    pub(super) site: SiteId,
    /// How to reach its PostgreSQL, in libpq's words.
    server: String,
}

/// What the active site had at one position.
pub(super) struct Reference {
    pub(super) site: SiteId,
    pub(super) checksums: Checksums,
    /// All of the WAL before it, and nothing after, gives these rows.
    pub(super) position: String,
}

impl Active {
    /// Returns the active site; `None` if nothing runs, or the cell has none right now.
    pub(super) async fn find(
        request: &Request,
        run_dir: &RunDir,
        scratch: &Path,
    ) -> anyhow::Result<Option<Self>> {
        if run_dir.supervisor()?.is_none() {
            return Ok(None);
        }
        let seen = Observer::new(&request.spec, run_dir)?.look().await;
        let cells = seen.cells.unwrap_or_default();
        let cell = cells.iter().find(|cell| cell.id == request.cell.as_str());
        let Some(region) = cell.and_then(|cell| cell.active.clone()) else { return Ok(None) };
        let region = region.parse().context("read the active region")?;
        let address = request
            .spec
            .site_address(&request.cell, &region, Port::Postgres)
            .context("find the active site's address")?;
        let (ip, port) = (address.ip(), address.port());
        let password = std::fs::read_to_string(run_dir.password(&request.cell, "postgres"))
            .context("read the cell's password")?;
        let line = format!("{ip}:{port}:*:postgres:{}\n", password.trim());
        runtime::file::replace(&request.tools.passfile, line.as_bytes(), 0o600)
            .with_context(|| format!("write a password file in {}", scratch.display()))?;
        request.own(&request.tools.passfile)?;
        let site = SiteId { cell: request.cell.clone(), region };
        Ok(Some(Self { site, server: format!("host={ip} port={port} user=postgres") }))
    }

    /// Counts the rows at an exactly known position, while users go on: the snapshot of a replication
    /// slot has every transaction whose commit stands before the position, and no other.
    pub(super) async fn checksums(&self, tools: &Tools) -> anyhow::Result<Reference> {
        let mut command = tools.command("psql", "KILL");
        command.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"]);
        command.arg(format!("{} dbname=cell replication=database", self.server));
        let mut session = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("run psql")?;
        // The slot is gone when the session ends, however it ends.
        let name = format!("restore_{}", std::process::id());
        let ask =
            format!("CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT;\n");
        let mut input = session.stdin.take().context("write to psql")?;
        input.write_all(ask.as_bytes()).await.context("write to psql")?;
        let output = session.stdout.take().context("read from psql")?;
        let mut lines = BufReader::new(output).lines();
        let told = tokio::time::timeout(SNAPSHOT_LIMIT, lines.next_line())
            .await
            .context("wait for a snapshot")?
            .context("read from psql")?
            .context("take a snapshot of the active site")?;
        let fields: Vec<&str> = told.split('|').collect();
        let [_, position, snapshot, _] = *fields else { bail!("understand the snapshot {told:?}") };
        let checksums = checksum::of(tools, &self.server, Some(snapshot))
            .await
            .context("count the active site's rows")?;
        // Only now: with the session the snapshot ends.
        drop(input);
        let ended = tokio::time::timeout(SNAPSHOT_LIMIT, session.wait()).await;
        ended.context("wait for the end of the snapshot")?.context("end the snapshot")?;
        Ok(Reference { site: self.site.clone(), checksums, position: position.to_owned() })
    }

    /// Returns how long ago the last piece of WAL was finished that has been sent to the archive: had all sites
    /// been lost now, what was written since would be missing. `None` where this server does not know.
    pub(super) async fn archived_ago(&self, tools: &Tools) -> anyhow::Result<Option<Duration>> {
        // A piece is marked when it is finished, and the mark renamed when it is sent.
        let ask = "SELECT extract(epoch FROM clock_timestamp() - max(modification))
    FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}[.]done$'
    HAVING count(*) > 0;
";
        let told = tools.psql(&format!("{} dbname=cell", self.server), ask).await?;
        let seconds = told.lines().next().map(str::parse).transpose();
        let seconds: Option<f64> = seconds.context("understand when WAL was archived last")?;
        // Negative where the clock was set back since: then nobody knows.
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    }

    /// Has everything written so far sent to the archive, waits until it is there, and returns the timeline that
    /// it is on. An empty transaction comes last, so that recovery finds an end for any moment before it.
    pub(super) async fn archive_everything(&self, tools: &Tools) -> anyhow::Result<u32> {
        let server = format!("{} dbname=cell", self.server);
        let finish = "SELECT 1 FROM pg_logical_emit_message(true, 'restore', '');
SELECT pg_walfile_name(pg_switch_wal());
";
        let told = tools.psql(&server, finish).await.context("finish a piece of WAL")?;
        let file = told.lines().last().context("know the finished piece of WAL")?.to_owned();
        let timeline = timeline(&file).context("know the timeline of the finished piece of WAL")?;
        let sent =
            format!("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name = '{file}.done';\n");
        let begun = BootTime::now();
        while tools.psql(&server, &sent).await?.trim() != "1" {
            if BootTime::now().since(begun) > ARCHIVE_LIMIT {
                bail!(
                    "see WAL {file} in the archive within {} s: archiving fails; see the alerts of \
                     {}, or stop the platform to restore what there is",
                    ARCHIVE_LIMIT.as_secs(),
                    self.site
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(timeline)
    }
}

/// Returns the timeline that a file of WAL, or the history of a timeline, is named after.
pub(super) fn timeline(file: &str) -> Option<u32> {
    u32::from_str_radix(file.get(..8)?, 16).ok()
}
