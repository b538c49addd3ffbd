//! What this site had written that the cell's history went on without: kept on disk before the data
//! directory is brought back in line, and told to whoever asks.
//!
//! ```text
//! SITE/lost/t3-5a01b20-5a08ff0/wal/000000030000000000000016   the WAL beyond the fork
//!                             /report.json                    what was in it
//! ```

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use topology::SiteId;
use topology::wire::lost_writes::LostWritesReport;
use tracing::{info, warn};

use super::postgres::Postgres;

/// Rows listed in one report: more than a few seconds of replication lag can lose.
const ROWS: usize = 5000;
/// Reports kept; the oldest goes. Each has at most the WAL that a standby may be behind.
const KEPT: usize = 10;

/// Keeps what the stopped server has beyond the history of `source`, if it has anything. Does
/// nothing the second time.
pub(crate) async fn keep(
    site: &SiteId,
    folder: &Path,
    postgres: &Postgres,
    source: SocketAddr,
) -> anyhow::Result<()> {
    let Some(divergence) = postgres.divergence(source).await.context("compare histories")? else {
        return Ok(());
    };
    let (Some(first), Some(last)) =
        (divergence.transactions.first(), divergence.transactions.last())
    else {
        return Ok(());
    };
    let name = format!("t{}-{:x}-{:x}", divergence.timeline, divergence.fork, divergence.end);
    if folder.join(&name).exists() {
        return Ok(());
    }
    let new = folder.join("new");
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("remove {}", new.display()))?;
    }
    keep_wal(postgres, &divergence.files, &new.join("wal"))?;
    let xids: Vec<u32> =
        divergence.transactions.iter().flat_map(|commit| commit.xids.iter().copied()).collect();
    let rows = postgres.rows_of(divergence.timeline, &xids, ROWS).await;
    let incomplete = rows.as_ref().err().map(|err| format!("{err:#}"));
    let rows = rows.unwrap_or_default();
    let report = LostWritesReport {
        cell: site.cell.to_string(),
        region: site.region.to_string(),
        epoch: rows.epoch,
        timeline: divergence.timeline,
        fork: divergence.fork,
        end: divergence.end,
        transactions: divergence.transactions.len() as u64,
        first_at: Some(first.at.clone()),
        last_at: Some(last.at.clone()),
        writes: rows.writes,
        truncated: rows.truncated,
        incomplete,
    };
    let text = serde_json::to_vec_pretty(&report).context("write the lost writes")?;
    runtime::file::replace(&new.join("report.json"), &text, 0o600)
        .context("write the lost writes")?;
    fs::rename(&new, folder.join(&name)).context("keep the lost writes")?;
    warn!(
        transactions = report.transactions,
        rows = report.writes.len(),
        first_at = report.first_at,
        last_at = report.last_at,
        folder = %folder.join(&name).display(),
        "writes lost that only this site had; kept"
    );
    forget_oldest(folder)
}

/// Returns what is kept, the newest history first.
pub(crate) fn list(folder: &Path) -> anyhow::Result<Vec<LostWritesReport>> {
    let mut reports = Vec::new();
    for kept in kept(folder)? {
        let path = kept.join("report.json");
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let report: LostWritesReport = serde_json::from_slice(&text)
            .with_context(|| format!("understand {}", path.display()))?;
        reports.push(report);
    }
    reports.sort_by_key(|report| std::cmp::Reverse((report.timeline, report.fork)));
    Ok(reports)
}

fn keep_wal(postgres: &Postgres, files: &[String], into: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(into).with_context(|| format!("make {}", into.display()))?;
    for name in files {
        let from = postgres.wal_folder().join(name);
        let kept = into.join(name);
        fs::copy(&from, &kept).with_context(|| format!("copy {}", from.display()))?;
        // The rewind that follows removes what this is a copy of.
        let kept = File::open(&kept).with_context(|| format!("open {}", kept.display()))?;
        kept.sync_all().context("see the copy on disk")?;
    }
    Ok(())
}

fn kept(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry.context("read what is kept")?.path();
        if path.join("report.json").exists() && !path.ends_with("new") {
            found.push(path);
        }
    }
    Ok(found)
}

fn forget_oldest(folder: &Path) -> anyhow::Result<()> {
    let mut kept = kept(folder)?;
    let age = |path: &PathBuf| fs::metadata(path).and_then(|about| about.modified()).ok();
    kept.sort_by_key(age);
    let surplus = kept.len().saturating_sub(KEPT);
    for path in kept.into_iter().take(surplus) {
        fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        info!(folder = %path.display(), "oldest lost writes forgotten");
    }
    Ok(())
}
