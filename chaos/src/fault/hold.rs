//! Hold files: who must not be started again yet. Removing them is what heals.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use runtime::file;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use topology::wire::fleet::Hold;

use super::Bench;
use crate::journal::{self, Step};
use crate::safeguard::Safeguard;
use crate::undo::Undo;

/// How the reason of a drill's hold begins: others may hold processes too, and theirs are let be.
const REASON: &str = "drill ";
const MODE: u32 = 0o644;
/// Of a hold that somebody has to lift.
pub(crate) const FOR_GOOD: u64 = u64::MAX;
/// What is done under a hold is taken away before the hold is, when the time of both is over.
const LAST: Duration = Duration::from_secs(30);

/// Keeps a process of the fleet from being started again, until healed.
pub(super) fn place(bench: &Bench<'_>, safeguard: &Safeguard, process: &str) -> anyhow::Result<()> {
    place_for(bench, safeguard, process, bench.action.ttl).map(|_| ())
}

/// The same, for longer than what is done meanwhile. Returns what lifts it.
pub(super) fn place_longer(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    process: &str,
) -> anyhow::Result<Step> {
    place_for(bench, safeguard, process, bench.action.ttl + LAST)
}

/// Makes a hold that is there last until somebody lifts it: nobody may begin in the middle of what comes now. One
/// that was lifted is not made again: nobody would lift that.
pub(super) fn prolong(bench: &Bench<'_>, process: &str) -> anyhow::Result<()> {
    let (path, reason) = (path(bench, process), reason(bench.run));
    let text = serde_json::to_vec(&Hold { until: FOR_GOOD, reason }).context("write a hold")?;
    exchange(&path, &text).with_context(|| format!("prolong the hold {}", path.display()))
}

fn place_for(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    process: &str,
    ttl: Duration,
) -> anyhow::Result<Step> {
    let path = path(bench, process);
    let hold = Hold { until: journal::until(ttl), reason: reason(bench.run) };
    let text = serde_json::to_vec(&hold).context("write a hold")?;
    let undo = Undo::Hold { path: path.clone(), reason: hold.reason };
    let step = safeguard.intend(undo, ttl)?;
    file::replace(&path, &text, MODE).with_context(|| format!("write {}", path.display()))?;
    Ok(step)
}

fn path(bench: &Bench<'_>, process: &str) -> PathBuf {
    bench.platform.run_dir.join("holds").join(format!("{process}.json"))
}

/// Replaces a file, or fails where it is there no more.
fn exchange(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("longer");
    file::replace(&beside, text, MODE)?;
    let exchanged = renameat_with(CWD, &beside, CWD, path, RenameFlags::EXCHANGE);
    fs::remove_file(&beside)?;
    Ok(exchanged?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lifted_is_not_prolonged() {
        let folder = std::env::temp_dir().join(format!("chaos-prolong-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("etcd@east.json");
        assert!(exchange(&path, b"longer").is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::write(&path, "short").unwrap();
        exchange(&path, b"longer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "longer");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
