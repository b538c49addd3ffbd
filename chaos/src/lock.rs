//! One run at a time in a run directory: two at once would blame each other's faults on the
//! platform. The lock is the kernel's, and ends with its holder; its file says who that is.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::process::{Process, is_stopped};
use crate::undo::Named;

/// Held until dropped.
pub(crate) struct Lock(#[expect(dead_code, reason = "the kernel's lock ends with it")] File);

/// Who has the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    process: Named,
    /// What it was asked to do.
    doing: String,
    since_unix_ms: u64,
}

/// Takes the lock, or says who has it; nobody, while its holder is just writing that down.
pub(crate) fn take(drills: &Path, doing: &str) -> anyhow::Result<Result<Lock, Option<Holder>>> {
    fs::create_dir_all(drills).with_context(|| format!("make {}", drills.display()))?;
    let path = place(drills);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(&path);
    let mut file = opened.with_context(|| format!("open {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Err(holder(&path))),
        Err(err) => return Err(err).with_context(|| format!("lock {}", path.display())),
    }
    let since_unix_ms = runtime::clock::unix_millis();
    let holder = Holder { process: journal::own()?, doing: doing.to_owned(), since_unix_ms };
    let text = serde_json::to_vec(&holder).context("write who has the lock")?;
    let written = file.set_len(0).and_then(|()| file.write_all(&text));
    written.with_context(|| format!("write {}", path.display()))?;
    Ok(Ok(Lock(file)))
}

impl Holder {
    pub(crate) fn process(&self) -> Process {
        self.process.into()
    }

    /// Whether it stands still, and will not end by itself.
    pub(crate) fn is_stopped(&self) -> bool {
        is_stopped(self.process())
    }

    pub(crate) fn told(&self) -> String {
        let age = runtime::clock::unix_millis().saturating_sub(self.since_unix_ms) / 1000;
        format!("`{}`, process {}, for {age} s", self.doing, self.process.pid)
    }
}

fn holder(path: &Path) -> Option<Holder> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn place(drills: &Path) -> PathBuf {
    drills.join("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it_until_the_first_is_gone() {
        let drills = std::env::temp_dir().join(format!("chaos-lock-{}", std::process::id()));
        let first = take(&drills, "chaos run soak").unwrap().unwrap();
        let refused = take(&drills, "chaos run all").unwrap().err().flatten().unwrap();
        let told = refused.told();
        assert!(told.starts_with("`chaos run soak`, process "), "{told}");
        assert!(!refused.is_stopped());
        drop(first);
        assert!(take(&drills, "chaos run all").unwrap().is_ok());
        fs::remove_dir_all(&drills).unwrap();
    }
}
