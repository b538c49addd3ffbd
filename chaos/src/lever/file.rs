//! The lever's file in the run directory: while it is there, it is pulled. It holds on this machine, whatever
//! a drill has broken.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

const FILE: &str = "lever";
const MODE: u32 = 0o644;

/// Returns why drills are stopped in a run directory; `None` if they are not.
pub(crate) fn pulled(run_dir: &Path) -> Option<String> {
    in_drills(&run_dir.join("drills"))
}

/// The same, for the folder of a run.
pub(crate) fn of_run(folder: &Path) -> Option<String> {
    // A report may have been asked for elsewhere; the journal is always here.
    in_drills(folder.parent()?)
}

fn in_drills(drills: &Path) -> Option<String> {
    match fs::read(drills.join(FILE)) {
        Err(err) if err.kind() == ErrorKind::NotFound => None,
        // Whoever cannot read it must not go on.
        Err(err) => Some(format!("the lever cannot be read: {err}")),
        Ok(text) => {
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            Some(if text.is_empty() { "the lever is pulled".to_owned() } else { text })
        }
    }
}

/// Writes it; returns why it was there before, if it was.
pub(crate) fn pull(run_dir: &Path, reason: &str) -> anyhow::Result<Option<String>> {
    let path = place(run_dir)?;
    let before = pulled(run_dir);
    runtime::file::replace(&path, format!("{reason}\n").as_bytes(), MODE)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(before)
}

/// Removes it; returns why it was there, if it was.
pub(crate) fn release(run_dir: &Path) -> anyhow::Result<Option<String>> {
    let path = place(run_dir)?;
    let before = pulled(run_dir);
    match fs::remove_file(&path) {
        Ok(()) => Ok(before),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("remove {}", path.display())),
    }
}

fn place(run_dir: &Path) -> anyhow::Result<PathBuf> {
    let drills = run_dir.join("drills");
    fs::create_dir_all(&drills).with_context(|| format!("make {}", drills.display()))?;
    Ok(drills.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulled_lever_says_why_until_it_is_released() {
        let run_dir = std::env::temp_dir().join(format!("chaos-lever-{}", std::process::id()));
        assert_eq!(pulled(&run_dir), None);
        let why = || Some("a real incident".to_owned());
        assert_eq!(pull(&run_dir, "a first one").unwrap(), None);
        assert_eq!(pull(&run_dir, "a real incident").unwrap(), Some("a first one".to_owned()));
        assert_eq!((pulled(&run_dir), of_run(&run_dir.join("drills/run-1"))), (why(), why()));
        assert_eq!((release(&run_dir).unwrap(), release(&run_dir).unwrap()), (why(), None));
        assert_eq!(pulled(&run_dir), None);
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
