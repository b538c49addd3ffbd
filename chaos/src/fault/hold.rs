//! Hold files: who must not be started again yet. Removing them is what heals.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::BootTime;
use runtime::file;
use topology::wire::fleet::Hold;

/// How the reason of a drill's hold begins: others may hold processes too, and theirs are let be.
const REASON: &str = "drill ";

/// The holds of one run. Dropping it lifts them, so that whatever ends the run heals; should the
/// whole process be gone, each ends by itself at the time written in it.
pub(crate) struct Holds {
    folder: PathBuf,
    reason: String,
    placed: Vec<PathBuf>,
}

impl Holds {
    pub(crate) fn new(run_dir: &Path, run: &str) -> Self {
        let (folder, reason) = (run_dir.join("holds"), format!("{REASON}{run}"));
        Self { folder, reason, placed: Vec::new() }
    }

    /// Keeps a process of the fleet from being started again, for `ttl` at most.
    pub(crate) fn place(&mut self, process: &str, ttl: Duration) -> anyhow::Result<()> {
        let path = self.folder.join(format!("{process}.json"));
        let until = (BootTime::now() + ttl).as_nanos();
        let hold = Hold { until, reason: self.reason.clone() };
        let text = serde_json::to_vec(&hold).context("write a hold")?;
        // Noted first: a file that was half written is to be removed too.
        self.placed.push(path.clone());
        file::replace(&path, &text, 0o644).with_context(|| format!("write {}", path.display()))
    }

    /// Lets every process start again; says so when one of the files cannot be removed.
    pub(crate) fn lift(&mut self) -> anyhow::Result<()> {
        while let Some(path) = self.placed.last() {
            match fs::remove_file(path) {
                Err(err) if err.kind() != ErrorKind::NotFound => {
                    return Err(err).with_context(|| format!("remove {}", path.display()));
                }
                Ok(()) | Err(_) => self.placed.pop(),
            };
        }
        Ok(())
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        if let Err(err) = self.lift() {
            tracing::error!(error = format!("{err:#}"), "hold left behind");
        }
    }
}

/// Lifts the holds that drills placed and did not live to lift, and returns them.
pub(crate) fn lift_leftovers(run_dir: &Path) -> anyhow::Result<Vec<String>> {
    let left = of_drills(run_dir)?;
    for path in &left {
        fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(left.into_iter().map(|path| path.display().to_string()).collect())
}

/// Returns the holds of drills, whether their time is over or not.
pub(crate) fn of_drills(run_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
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
        let hold = serde_json::from_slice::<Hold>(&text);
        if hold.is_ok_and(|hold| hold.reason.starts_with(REASON)) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_dir(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("chaos-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("holds")).unwrap();
        folder
    }

    #[test]
    fn holds_are_lifted_whatever_ends_the_run() {
        let run_dir = run_dir("holds");
        let mut holds = Holds::new(&run_dir, "run-1");
        holds.place("c1@east", Duration::from_mins(1)).unwrap();
        holds.place("etcd@east", Duration::from_mins(1)).unwrap();
        assert_eq!(of_drills(&run_dir).unwrap().len(), 2);
        drop(holds);
        assert_eq!(fs::read_dir(run_dir.join("holds")).unwrap().count(), 0);
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn what_a_drill_did_not_live_to_lift_is_lifted_and_nobody_elses() {
        let run_dir = run_dir("leftovers");
        let mut holds = Holds::new(&run_dir, "run-1");
        holds.place("c1@east", Duration::from_mins(1)).unwrap();
        std::mem::forget(holds);
        let other = Hold { until: u64::MAX, reason: "maintenance".to_owned() };
        let path = run_dir.join("holds/router-1.json");
        fs::write(&path, serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(lift_leftovers(&run_dir).unwrap().len(), 1);
        assert_eq!(lift_leftovers(&run_dir).unwrap(), Vec::<String>::new());
        assert!(path.exists());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
