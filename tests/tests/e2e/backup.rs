//! A cell's database comes back as it was at a moment, and nothing of its backups stops the cell.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use runtime::clock;
use serde_json::{Value, json};
use tests::{Platform, User};
use topology::RegionId;
use topology::address::Port;

const USER: &str = "ada";
/// A base backup, on a machine that does much else; or PostgreSQL's own minute before it tries the
/// archive again.
const PATIENCE: Duration = Duration::from_mins(4);
const POLL: Duration = Duration::from_millis(200);
/// More WAL than is kept for an archive that takes none: 256 MB, in pieces of 1 MB.
const PIECES: usize = 280;
const AT_ONCE: usize = 4;

#[tokio::test]
async fn a_restored_cell_has_what_was_there_and_moves_whatever_its_archive_does()
-> anyhow::Result<()> {
    if !is_installed() {
        return Ok(());
    }
    let cell = Cell::up().await?;
    cell.until("a base backup", async || Ok(cell.newest_backup().await? > 0)).await?;
    let user = User::of(&cell.platform, USER)?;
    for _ in 0..7 {
        begin_conversation(&user).await?;
    }
    let there = cell.restore("latest").await?;
    // The commits are over; the next one comes when the clock has moved on.
    let moment = clock::unix_millis() + 1;
    cell.until("the next moment", async || Ok(clock::unix_millis() > moment)).await?;
    for _ in 0..5 {
        begin_conversation(&user).await?;
    }

    let then = cell.restore(&moment_text(moment)).await?;
    assert_eq!(rows(&then, "conversations"), 7, "{then:#}");
    assert_eq!(then["same"], Value::Null, "nothing knows what was there then");
    assert_eq!(sums(&then), sums(&there), "{then:#} {there:#}");

    // Users go on while it is compared.
    let (latest, written) = while_writing(cell.restore("latest"), &user).await?;
    assert_eq!(latest["same"], true, "{latest:#}");
    let restored = rows(&latest, "conversations");
    assert!((12..=12 + written).contains(&restored), "{restored} of {written} more: {latest:#}");
    a_planned_move_waits_for_no_archive(&cell).await?;

    // The site that serves now has never archived anything before.
    cell.until("the archive to lead on", async || cell.archive_leads_on()).await?;
    let moved = cell.restore("latest").await?;
    assert_eq!(moved["same"], true, "{moved:#}");
    Ok(())
}

/// The active site stops by itself for a planned move, in its short time, whatever its archive does.
async fn a_planned_move_waits_for_no_archive(cell: &Cell) -> anyhow::Result<()> {
    let archive = cell.archive();
    std::fs::set_permissions(&archive, Permissions::from_mode(0o000))?;
    cell.sql("SELECT pg_logical_emit_message(true, 'a', 'test'); SELECT pg_switch_wal()")?;
    cell.until("the alert", async || Ok(cell.alerts().await?.contains("archive-failing"))).await?;

    let seen = cell.platform.until_redundant(&cell.id).await?;
    let path = format!("/v1/cells/{}/switchover", cell.id);
    let order = json!({ "to": seen["voters"][0] });
    let (status, moved) = cell.platform.order(&cell.active, &path, &order).await?;
    assert_eq!(status, 200, "{moved:#}");
    let log = cell.platform.run_dir().join("logs");
    let log = log.join(format!("{}@{}-postgres.log", cell.id, cell.active));
    let log = std::fs::read_to_string(log)?;
    assert!(log.contains("received fast shutdown request"));
    assert!(!log.contains("received immediate shutdown request"), "it was in time: {log}");
    std::fs::set_permissions(&archive, Permissions::from_mode(0o750))?;
    Ok(())
}

#[tokio::test]
async fn an_archive_that_takes_nothing_stops_no_write_and_is_said() -> anyhow::Result<()> {
    if !is_installed() {
        return Ok(());
    }
    let cell = Cell::up().await?;
    cell.until("a base backup", async || Ok(cell.newest_backup().await? > 0)).await?;
    let first = cell.newest_backup().await?;
    let user = User::of(&cell.platform, USER)?;

    let archive = cell.archive();
    std::fs::set_permissions(&archive, Permissions::from_mode(0o000))?;
    let fill = format!(
        "SELECT pg_logical_emit_message(false, 'a', 'test'), pg_switch_wal()
         FROM generate_series(1, {AT_ONCE})"
    );
    for piece in (0..PIECES).step_by(AT_ONCE) {
        cell.sql(&fill)?;
        if piece % (10 * AT_ONCE) == 0 {
            open_ticket(&user).await?;
        }
    }
    cell.until("the alert", async || Ok(cell.alerts().await?.contains("archive-failing"))).await?;
    // More waits than is kept: the oldest is given up, and nobody has it any more.
    let given_up = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
    cell.until("WAL to be given up", async || {
        Ok(cell.sql(given_up)?.parse::<usize>()? < PIECES - 2)
    })
    .await?;
    for _ in 0..2 {
        cell.sql("SELECT pg_logical_emit_message(true, 'a', 'test'); CHECKPOINT")?;
    }
    open_ticket(&user).await?;

    std::fs::set_permissions(&archive, Permissions::from_mode(0o750))?;
    cell.sql("SELECT pg_logical_emit_message(true, 'a', 'test'); SELECT pg_switch_wal()")?;
    cell.until("the hole to be said", async || Ok(cell.alerts().await?.contains("archive-gap")))
        .await?;
    cell.until("another base backup", async || Ok(cell.newest_backup().await? > first)).await?;
    cell.until("the alerts to be over", async || Ok(cell.alerts().await? == "{}")).await?;
    open_ticket(&user).await?;
    let latest = cell.restore("latest").await?;
    assert_eq!(latest["same"], true, "{latest:#}");
    Ok(())
}

/// A platform, and the cell of its one user.
struct Cell {
    platform: Platform,
    id: String,
    active: RegionId,
}

impl Cell {
    async fn up() -> anyhow::Result<Self> {
        let platform = Platform::up_with(|text| text.replace("steady: 1m", "steady: 1s"))?;
        let (id, active) = platform.home_of(USER).await?;
        Ok(Self { platform, id, active })
    }

    /// The folder that the cell's WAL is sent to.
    fn archive(&self) -> PathBuf {
        self.platform.run_dir().join("backups/archive").join(&self.id)
    }

    /// Whether there is the history of any timeline but the first.
    fn archive_leads_on(&self) -> anyhow::Result<bool> {
        for database in std::fs::read_dir(self.archive())? {
            let database = database?.path();
            if !database.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(database)? {
                if file?.file_name().to_string_lossy().ends_with(".history") {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn address(&self, port: Port) -> anyhow::Result<SocketAddr> {
        self.platform.site_address(&self.id, self.active.as_str(), port)
    }

    async fn newest_backup(&self) -> anyhow::Result<u64> {
        let url = format!("http://{}/metrics", self.address(Port::AgentAdmin)?);
        let (none, no_body) = (http::HeaderMap::new(), bytes::Bytes::new());
        let answer = self.platform.http.call(http::Method::GET, &url, none, no_body, POLL * 10);
        let text = String::from_utf8_lossy(&answer.await?.body).into_owned();
        let name = "cell_backup_newest_timestamp_seconds ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.context("find the metric")?.parse::<u64>()?)
    }

    async fn alerts(&self) -> anyhow::Result<String> {
        let url = format!("http://{}/v1/status", self.address(Port::Agent)?);
        let status: Value = self.platform.http.get(&url, POLL * 10).await?;
        Ok(status["alerts"].to_string())
    }

    fn sql(&self, statements: &str) -> anyhow::Result<String> {
        self.platform.sql(&self.id, self.active.as_str(), statements)
    }

    async fn restore(&self, to: &str) -> anyhow::Result<Value> {
        let own = std::env::current_exe()?;
        let programs: PathBuf =
            own.parent().and_then(|folder| folder.parent()).context("find")?.into();
        let output = tokio::process::Command::new(programs.join("platform"))
            .args(["restore", &self.id, "--to", to, "--check", "--json"])
            .env("BULKHEAD_RUN_DIR", self.platform.run_dir())
            .output()
            .await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "restore to {to}: {complaint}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    async fn until(
        &self,
        what: &str,
        seen: impl AsyncFn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let wait = async {
            // A look that fails is a look to repeat.
            while !seen().await.unwrap_or(false) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("wait for {what}"))
    }
}

async fn begin_conversation(user: &User) -> anyhow::Result<()> {
    let made = user.post("/v1/conversations", &json!({})).await?;
    ensure!(made.status == 201, "{made:?}");
    Ok(())
}

async fn open_ticket(user: &User) -> anyhow::Result<()> {
    let ticket = json!({ "subject": "where is it", "description": "…" });
    let made = user.post("/v1/tickets", &ticket).await?;
    ensure!(made.status == 201, "{made:?}");
    Ok(())
}

/// Returns what `work` came to, and how many conversations were begun meanwhile.
async fn while_writing<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    user: &User,
) -> anyhow::Result<(T, u64)> {
    let written = std::cell::Cell::new(0);
    let write = async {
        loop {
            let made = user.post("/v1/conversations", &json!({})).await?;
            match made.status.as_u16() {
                201 => written.set(written.get() + 1),
                // So much of one user is too much for a router.
                429 => tokio::time::sleep(POLL).await,
                _ => bail!("{made:?}"),
            }
        }
    };
    tokio::select! {
        done = work => Ok((done?, written.get())),
        failed = write => failed,
    }
}

fn rows(restored: &Value, table: &str) -> u64 {
    let tables = restored["tables"].as_array();
    let found = tables.into_iter().flatten().find(|line| line["table"] == table);
    found.and_then(|line| line["rows"].as_u64()).unwrap_or(u64::MAX)
}

/// Returns of each table how many rows it has, and their checksum.
fn sums(restored: &Value) -> Vec<(&Value, &Value, &Value)> {
    let tables = restored["tables"].as_array().into_iter().flatten();
    tables.map(|line| (&line["table"], &line["rows"], &line["checksum"])).collect()
}

/// Seconds since 1970 are all PostgreSQL needs to know of a moment, but it reads a calendar's.
fn moment_text(millis: u64) -> String {
    let seconds = format!("@{}.{:03}", millis / 1000, millis % 1000);
    let output = Command::new("date").args(["-u", "-d", &seconds, "+%FT%T.%3NZ"]).output();
    output.map_or_else(
        |_| String::new(),
        |told| String::from_utf8_lossy(&told.stdout).trim().to_owned(),
    )
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn is_installed() -> bool {
    let found = Command::new("pgbackrest").arg("version").output().is_ok();
    if !found {
        eprintln!("skipped: pgbackrest is not installed; apt-get install pgbackrest");
    }
    found
}
