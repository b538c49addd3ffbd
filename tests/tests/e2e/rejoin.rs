//! A site whose database is no longer in line, or no longer there, finds its way back, and the
//! active site does not notice.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tests::json::{text, texts};
use tests::{Platform, SmallDisk, User};
use tokio::time::Instant;
use topology::wire::fleet::FleetProcess;

/// How often the disk is looked at for a step of a rejoin that lasts some milliseconds.
const GLANCE: Duration = Duration::from_millis(1);
/// How long a step may take to come.
const STEP: Duration = Duration::from_mins(1);

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

    let stalled = platform.stop_sending(&id, &active, &texts(&cell["voters"]))?;
    let path = format!("/v1/conversations/{conversation}/messages");
    let said = user.post(&path, &json!({ "text": "where is my parcel" })).await?;
    assert_eq!(said.status, 201, "acknowledged weakly, and replicated to nobody: {said:?}");
    let held = platform.kill_and_hold_site(&id, &active)?;
    drop(stalled);
    platform.until_active_outside(&id, &active).await?;
    platform.release(&held)?;

    for step in ["lost/new", "postgres/rewind.in_progress", "postgres/data.new"] {
        appears(&site.join(step)).await?;
        platform.kill_agent(&id, &active)?;
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

/// Makes the active site write so many megabytes of WAL.
fn wal(platform: &Platform, cell: &str, active: &str, megabytes: usize) -> anyhow::Result<()> {
    let write = format!(
        "SET synchronous_commit = local;
         SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1048576)))
         FROM generate_series(1, {megabytes})"
    );
    platform.sql(cell, active, &write).map(|_| ())
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
