//! A site whose database is no longer in line, or no longer there, finds its way back, and the
//! active site does not notice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{Platform, User};
use tokio::time::Instant;
use topology::wire::fleet::FleetProcess;

/// How often the disk is looked at for a step of a rejoin that lasts some milliseconds.
const GLANCE: Duration = Duration::from_millis(1);
/// How long a step may take to come.
const STEP: Duration = Duration::from_mins(1);
/// A database of 40 MB and its WAL fit; what a test writes beyond does not.
const SMALL_DISK: &str = "size=192m";

/// Every step of a rejoin is interrupted by killing the agent: while what is lost is kept, while the
/// database is rewound, and while it is copied. What only the old site had is known afterwards.
#[tokio::test]
async fn a_rejoin_that_is_interrupted_at_each_step_ends_well() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "grace")?;
    let made = user.post("/v1/conversations", &json!({})).await?;
    let conversation = made.body["id"].as_str().unwrap_or_default().to_owned();
    let cell = platform.cell_of("grace").await?;
    let (id, active) = (text(&cell["id"]), text(&cell["active"]));
    let site = platform.run_dir().join("sites").join(format!("{id}@{active}"));

    let senders = walsenders(&site)?;
    signal(&senders, Signal::STOP);
    let path = format!("/v1/conversations/{conversation}/messages");
    let said = user.post(&path, &json!({ "text": "where is my parcel" })).await?;
    assert_eq!(said.status, 201, "acknowledged weakly, and replicated to nobody: {said:?}");
    let held = platform.kill_and_hold_site(&id, &active)?;
    signal(&senders, Signal::KILL);
    platform.until(&id, "served elsewhere", |seen| is_served_elsewhere(seen, &active)).await?;
    platform.release(&held)?;

    for step in ["lost/new", "postgres/rewind.in_progress", "postgres/data.new"] {
        appears(&site.join(step)).await?;
        kill_agent(&platform, &id, &active)?;
    }
    let cell = platform.until_redundant(&id).await?;
    assert_ne!(text(&cell["active"]), active, "nothing fails back by itself");

    let region = text(&cell["active"]).parse()?;
    let lost = platform.control_plane(&region, &format!("/v1/cells/{id}/lost-writes")).await?;
    let reports = lost["data"].as_array().cloned().unwrap_or_default();
    assert_eq!(reports.len(), 1, "{lost:#}");
    let rows = reports[0]["writes"].as_array().cloned().unwrap_or_default();
    let messages = rows.iter().filter(|row| row["table"] == "messages").count();
    assert_eq!(messages, 2, "what was said, and what was answered: {lost:#}");
    let made = user.post("/v1/tickets", &json!({ "subject": "after", "description": "…" })).await?;
    assert_eq!(made.status, 201, "{made:?}");
    Ok(())
}

#[tokio::test]
async fn an_empty_a_damaged_and_a_full_disk_leave_the_active_site_alone() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "edsger")?;
    let cell = platform.cell_of("edsger").await?;
    let (id, epoch) = (text(&cell["id"]), cell["epoch"].clone());
    let standby = text(&cell["voters"][0]);
    let folder = platform.run_dir().join("sites").join(format!("{id}@{standby}")).join("postgres");

    let held = take_away(&platform, &id, &standby).await?;
    fs::remove_dir_all(folder.join("data")).context("empty the data directory")?;
    tickets(&user, 3).await?;
    platform.release(&held)?;
    platform.until_redundant(&id).await?;

    let held = take_away(&platform, &id, &standby).await?;
    fs::write(folder.join("data/global/pg_control"), [0; 512]).context("damage the data")?;
    tickets(&user, 3).await?;
    platform.release(&held)?;
    platform.until_redundant(&id).await?;

    let held = take_away(&platform, &id, &standby).await?;
    if let Some(disk) = SmallDisk::under(&folder)? {
        platform.release(&held)?;
        platform.until_redundant(&id).await?;
        disk.fill()?;
        // More than is left, and than PostgreSQL has already set aside.
        wal(&platform, &id, &text(&cell["active"]), 96)?;
        platform.until(&id, "without its full standby", |seen| seen["redundant"] == false).await?;
        tickets(&user, 3).await?;
        disk.empty()?;
        platform.until_redundant(&id).await?;
        tickets(&user, 1).await?;
        let cell = platform.cell(&id).await?;
        assert_eq!(cell["epoch"], epoch, "the active site served all the time");
        platform.stop()?;
    } else {
        platform.release(&held)?;
        platform.until_redundant(&id).await?;
    }
    Ok(())
}

/// Kills a standby, and waits until it is missed: afterwards, redundant means that it came back.
async fn take_away(
    platform: &Platform,
    cell: &str,
    region: &str,
) -> anyhow::Result<Vec<FleetProcess>> {
    let held = platform.kill_and_hold_site(cell, region)?;
    platform.until(cell, "missing a standby", |seen| seen["redundant"] == false).await?;
    Ok(held)
}

/// A file system of its own under a folder, kept small; gone when dropped.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Moves the folder onto it; `None`, with a line that says so, where nothing may be mounted.
    #[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
    fn under(folder: &Path) -> anyhow::Result<Option<Self>> {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).context("set the folder aside")?;
        fs::create_dir(folder).context("make the mount point")?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SMALL_DISK, "tmpfs"])
            .arg(folder)
            .output()
            .context("run mount")?;
        if !mount.status.success() {
            eprintln!("skipped: a full disk (mount: {})", String::from_utf8_lossy(&mount.stderr));
            fs::remove_dir(folder).context("remove the mount point")?;
            fs::rename(&aside, folder).context("put the folder back")?;
            return Ok(None);
        }
        let disk = Self { folder: folder.to_owned() };
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(format!("{}/.", aside.display())).arg(folder);
        ensure!(status(&mut copy)?, "copy the folder onto the small disk");
        Ok(Some(disk))
    }

    fn fill(&self) -> anyhow::Result<()> {
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=1M"]).arg(format!("of={}", self.filler().display()));
        dd.stderr(std::process::Stdio::null());
        // It ends with an error: there is no more room.
        ensure!(!status(&mut dd)?, "fill the disk");
        Ok(())
    }

    fn empty(&self) -> anyhow::Result<()> {
        fs::remove_file(self.filler()).context("make room again")
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    #[expect(clippy::print_stderr, reason = "a test says what it leaves behind")]
    fn drop(&mut self) {
        // Lazily: a test that failed still has its PostgreSQL in it.
        let unmounted = status(Command::new("umount").arg("--lazy").arg(&self.folder));
        if !unmounted.unwrap_or(false) {
            eprintln!("{} is still mounted", self.folder.display());
        }
    }
}

fn status(command: &mut Command) -> anyhow::Result<bool> {
    Ok(command.status().with_context(|| format!("run {command:?}"))?.success())
}

/// Makes the active site write so many megabytes of WAL.
fn wal(platform: &Platform, cell: &str, active: &str, megabytes: usize) -> anyhow::Result<()> {
    let site = platform.run_dir().join("sites").join(format!("{cell}@{active}")).join("postgres");
    let address =
        fs::read_to_string(site.join("data/postmaster.pid")).context("find the server")?;
    let host = address.lines().nth(5).context("find the server's address")?;
    let write = format!(
        "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1048576))
         FROM generate_series(1, {megabytes})"
    );
    let mut psql = Command::new("psql");
    psql.env("PGPASSFILE", site.join("passfile")).env("PGOPTIONS", "-c synchronous_commit=local");
    psql.args(["-h", host, "-U", "postgres", "-d", "postgres", "-qtAc", &write]);
    psql.stdout(std::process::Stdio::null());
    ensure!(status(&mut psql)?, "write WAL");
    Ok(())
}

async fn tickets(user: &User, count: usize) -> anyhow::Result<()> {
    for n in 0..count {
        let ticket = json!({ "subject": format!("ticket {n}"), "description": "…" });
        let made = user.post("/v1/tickets", &ticket).await?;
        assert_eq!(made.status, 201, "{made:?}");
    }
    Ok(())
}

async fn appears(path: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + STEP;
    while !path.exists() {
        ensure!(Instant::now() < deadline, "see {} appear", path.display());
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}

fn kill_agent(platform: &Platform, cell: &str, region: &str) -> anyhow::Result<()> {
    let name = format!("{cell}@{region}");
    let agent = platform.fleet()?.processes.into_iter().find(|process| process.name == name);
    let pid = agent.and_then(|agent| agent.pid).context("find the agent")?;
    signal(&[pid], Signal::KILL);
    Ok(())
}

/// Returns the processes that send the active site's WAL.
fn walsenders(site: &Path) -> anyhow::Result<Vec<u32>> {
    let pid = fs::read_to_string(site.join("postgres/data/postmaster.pid"))?;
    let pid = pid.lines().next().context("find the postmaster")?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let is_sender = |pid: &&str| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|title| title.contains("walsender"))
    };
    let senders = children.split_whitespace().filter(is_sender);
    senders.map(|pid| pid.parse().context("read a pid")).collect()
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            // One that has ended needs no signal.
            kill_process(pid, signal).ok();
        }
    }
}

fn is_served_elsewhere(cell: &Value, than: &str) -> bool {
    cell["phase"] == "steady" && cell["active"] != than
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
