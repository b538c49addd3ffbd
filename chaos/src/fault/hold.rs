//! Hold files: who must not be started again yet. Removing them is what heals.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use runtime::file;
use topology::wire::fleet::Hold;

use super::Bench;
use crate::journal::{self, Step};
use crate::safeguard::Safeguard;
use crate::undo::Undo;

/// How the reason of a drill's hold begins: others may hold processes too, and theirs are let be.
const REASON: &str = "drill ";
const MODE: u32 = 0o644;
/// What is done under a hold is taken away before the hold is, when the time of both is over.
const LAST: Duration = Duration::from_secs(30);

/// Keeps a process of the fleet from being started again, until healed.
pub(super) fn place(bench: &Bench<'_>, safeguard: &Safeguard, process: &str) -> anyhow::Result<()> {
    let ttl = bench.action.ttl;
    place_until(bench, safeguard, process, journal::until(ttl), ttl).map(|_| ())
}

/// The same, until somebody heals it: nobody may run on what is being done, however long that takes. Returns
/// what lifts it.
pub(super) fn place_for_good(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    process: &str,
) -> anyhow::Result<Step> {
    place_until(bench, safeguard, process, u64::MAX, bench.action.ttl + LAST)
}

fn place_until(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    process: &str,
    until: u64,
    ttl: Duration,
) -> anyhow::Result<Step> {
    let path = bench.platform.run_dir.join("holds").join(format!("{process}.json"));
    let hold = Hold { until, reason: reason(bench.run) };
    let text = serde_json::to_vec(&hold).context("write a hold")?;
    let undo = Undo::Hold { path: path.clone(), reason: hold.reason };
    let step = safeguard.intend(undo, ttl)?;
    file::replace(&path, &text, MODE).with_context(|| format!("write {}", path.display()))?;
    Ok(step)
}

pub(crate) fn reason(run: &str) -> String {
    format!("{REASON}{run}")
}

/// Returns the holds of drills, whether their time is over or not, with their reasons.
pub(crate) fn of_drills(run_dir: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let folder = run_dir.join("holds");
    let entries = match fs::read_dir(&folder) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {}", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        let text = match fs::read(&path) {
            Err(err) if err.kind() == ErrorKind::NotFound => continue,
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        // What cannot be read is no drill's: those are written whole.
        let Ok(hold) = serde_json::from_slice::<Hold>(&text) else { continue };
        if hold.reason.starts_with(REASON) {
            found.push((path, hold.reason));
        }
    }
    Ok(found)
}
