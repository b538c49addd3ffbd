//! A disk that is soon full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// A database of 40 MB and its WAL fit; what a test writes beyond does not.
const SIZE: &str = "size=192m";

/// A file system of its own under a folder, kept small; gone when dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Moves the folder onto it; `None`, with a line that says so, where nothing may be mounted.
    #[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
    pub fn under(folder: &Path) -> anyhow::Result<Option<Self>> {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).context("set the folder aside")?;
        fs::create_dir(folder).context("make the mount point")?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
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

    /// Leaves no room.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=1M"]).arg(format!("of={}", self.filler().display()));
        dd.stderr(Stdio::null());
        // It ends with an error: there is no more room.
        ensure!(!status(&mut dd)?, "fill the disk");
        Ok(())
    }

    /// Makes room again.
    pub fn empty(&self) -> anyhow::Result<()> {
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
