//! A cgroup of our own, frozen as a whole: nobody in it can escape by starting somebody new.

mod hierarchy;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use self::hierarchy::{Version, hierarchies, home};
use super::stop_trees;
use crate::process::{Process, tree};
use crate::safeguard::Safeguard;
use crate::undo::{PREFIX, Undo, Undone, place};

pub(crate) use hierarchy::disk_limits;

const LOOK: Duration = Duration::from_millis(5);
/// A thawed process may be in the middle of starting another one; then its list is read again.
const MOVES: usize = 200;
const MOVE_PAUSE: Duration = Duration::from_millis(5);

/// Where the processes of a drill are kept while they are frozen, and where they came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroup {
    version: Version,
    folder: PathBuf,
    home: PathBuf,
}

/// Freezes processes with everything they started. Returns all of them, and how it was done.
pub(crate) async fn freeze_trees(
    roots: &[Process],
    safeguard: &Safeguard,
    ttl: Duration,
    within: Duration,
) -> anyhow::Result<(BTreeSet<Process>, String)> {
    let due = Instant::now() + within;
    let first = roots.first().context("freeze nobody")?;
    let mut made = None;
    for candidate in Cgroup::freezers(*first, safeguard) {
        safeguard.intend(Undo::Leave(candidate.clone()), ttl)?;
        if candidate.make() {
            made = Some(candidate);
            break;
        }
    }
    let Some(cgroup) = made else {
        let (found, _) = stop_trees(roots, safeguard, ttl, within).await?;
        return Ok((found, "SIGSTOP of each: no cgroup freezer can be written to".to_owned()));
    };
    // Each is taken in before anybody is frozen: those who are in bear their children inside.
    let mut found = tree(roots);
    while !cgroup.take_in(&found)? {
        if Instant::now() >= due {
            bail!("take {} processes into {}", found.len(), cgroup.folder.display());
        }
        found.extend(tree(roots));
    }
    cgroup.write_state(true)?;
    loop {
        let missed = !cgroup.take_in(&tree(roots))?;
        if cgroup.is_frozen()? && !missed {
            return Ok((cgroup.members()?, cgroup.told()));
        }
        if Instant::now() >= due {
            bail!("see {} frozen within {within:?}", cgroup.folder.display());
        }
        sleep(LOOK).await;
    }
}

impl Cgroup {
    /// Returns the cgroups this program would freeze a process in, the best first.
    fn freezers(process: Process, safeguard: &Safeguard) -> Vec<Self> {
        let all = Self::candidates(process, safeguard).into_iter();
        all.filter(|cgroup| matches!(cgroup.version, Version::V1 | Version::V2)).collect()
    }

    /// Returns the cgroup it would limit the processor's time of a process in.
    pub(super) fn of_cpu(process: Process, safeguard: &Safeguard) -> Option<Self> {
        let all = Self::candidates(process, safeguard).into_iter();
        all.into_iter().find(|cgroup| cgroup.version == Version::Cpu)
    }

    /// Returns the cgroup it would limit the writes of a process in.
    pub(crate) fn of_disk(process: Process, safeguard: &Safeguard) -> Option<Self> {
        let all = Self::candidates(process, safeguard).into_iter();
        let limits = |version| matches!(version, Version::Disk | Version::UnifiedDisk);
        all.into_iter().find(|cgroup| limits(cgroup.version))
    }

    /// Returns the cgroup in which the packet filter would know a process from all others.
    pub(crate) fn apart(process: Process, safeguard: &Safeguard) -> Option<Self> {
        let mut all = Self::candidates(process, safeguard).into_iter();
        all.find(|cgroup| cgroup.version == Version::V2)
    }

    /// Returns how the packet filter calls it.
    pub(crate) fn in_filters(&self) -> Option<String> {
        let path = self.folder.strip_prefix("/sys/fs/cgroup").ok()?;
        Some(path.to_string_lossy().into_owned())
    }

    /// Each step has one of its own: what one ends is not another's.
    fn candidates(process: Process, safeguard: &Safeguard) -> Vec<Self> {
        let Some(own) = Process::own() else { return Vec::new() };
        let (step, place) = (safeguard.upcoming(), place(safeguard.run_dir()));
        let name = format!("{PREFIX}{}-{}-{step}-{place}", own.pid, own.start_time);
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid));
        let groups = groups.unwrap_or_default();
        let candidates = hierarchies().into_iter().filter_map(|(version, mount)| {
            let home = mount.join(home(version, &groups)?);
            Some(Self { version, folder: mount.join(&name), home })
        });
        candidates.collect()
    }

    /// Makes it; returns whether it can be used. Tried out: a mount that is read-only, or a name
    /// space that is closed, says so now.
    pub(crate) fn make(&self) -> bool {
        let knob = self.folder.join(self.version.knob());
        fs::create_dir_all(&self.folder).is_ok()
            && fs::OpenOptions::new().write(true).open(knob).is_ok()
    }

    /// Lets everybody in it go on, sends them home and removes it.
    pub(crate) fn thaw(&self) -> anyhow::Result<Undone> {
        if !self.folder.exists() {
            return Ok(Undone::Before);
        }
        self.write_state(false)?;
        for _ in 0..MOVES {
            for pid in self.pids()? {
                move_to(&self.home, pid)?;
            }
            match self.remove() {
                Err(err) if err.kind() == ErrorKind::ResourceBusy => {}
                removed => {
                    removed.with_context(|| format!("remove {}", self.folder.display()))?;
                    return Ok(Undone::Now);
                }
            }
            std::thread::sleep(MOVE_PAUSE);
        }
        bail!("empty {}: {:?} stay in it", self.folder.display(), self.pids()?)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets its members have this share of one processor together.
    pub(super) fn limit(&self, percent: u8) -> anyhow::Result<()> {
        /// Microseconds: short, so that what is slow is slow all the time, not in bursts.
        const PERIOD: u32 = 100_000;
        let quota = PERIOD / 100 * u32::from(percent);
        for (name, value) in [("cpu.cfs_period_us", PERIOD), (self.version.knob(), quota)] {
            let path = self.folder.join(name);
            let written = fs::write(&path, value.to_string());
            written.with_context(|| format!("write {value} to {}", path.display()))?;
        }
        Ok(())
    }

    /// Lets its members write to a disk so many times a second together.
    pub(crate) fn limit_writes(&self, disk: &str, writes: u32) -> anyhow::Result<()> {
        let path = self.folder.join(self.version.knob());
        let text = match self.version {
            Version::UnifiedDisk => format!("{disk} wiops={writes}"),
            Version::V1 | Version::V2 | Version::Cpu | Version::Disk => format!("{disk} {writes}"),
        };
        fs::write(&path, &text).with_context(|| format!("write {text} to {}", path.display()))
    }

    /// Moves those in who are not; returns whether all were.
    pub(crate) fn take_in(&self, processes: &BTreeSet<Process>) -> anyhow::Result<bool> {
        let inside: BTreeSet<u32> = self.pids()?.into_iter().collect();
        let mut all = true;
        for process in processes.iter().filter(|process| !inside.contains(&process.pid)) {
            if process.is_alive() {
                move_to(&self.folder, process.pid)?;
                all = false;
            }
        }
        Ok(all)
    }

    fn members(&self) -> anyhow::Result<BTreeSet<Process>> {
        Ok(self.pids()?.into_iter().filter_map(Process::with_pid).collect())
    }

    fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let path = self.folder.join("cgroup.procs");
        let text = match fs::read_to_string(&path) {
            // Somebody else has thawed it meanwhile.
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    fn write_state(&self, frozen: bool) -> anyhow::Result<()> {
        let text = match (self.version, frozen) {
            (Version::V1, true) => "FROZEN",
            (Version::V1, false) => "THAWED",
            (Version::V2, true) => "1",
            (Version::V2, false) => "0",
            (Version::Cpu, _) => "-1",
            // It ends with the cgroup.
            (Version::Disk | Version::UnifiedDisk, _) => return Ok(()),
        };
        let path = self.folder.join(self.version.knob());
        match fs::write(&path, text) {
            Err(err) if !frozen && err.kind() == ErrorKind::NotFound => Ok(()),
            written => written.with_context(|| format!("write {text} to {}", path.display())),
        }
    }

    fn is_frozen(&self) -> anyhow::Result<bool> {
        let (name, word) = match self.version {
            Version::V1 => ("freezer.state", "FROZEN"),
            Version::V2 => ("cgroup.events", "frozen 1"),
            Version::Cpu | Version::Disk | Version::UnifiedDisk => {
                bail!("{self} freezes nobody")
            }
        };
        let path = self.folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(text.lines().any(|line| line == word))
    }

    fn remove(&self) -> std::io::Result<()> {
        match fs::remove_dir(&self.folder) {
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn told(&self) -> String {
        match self.version {
            Version::V1 => {
                format!("cgroup v1: freezer.state of {} is FROZEN", self.folder.display())
            }
            Version::V2 => format!("cgroup v2: {} is frozen", self.folder.display()),
            Version::Cpu | Version::Disk | Version::UnifiedDisk => self.to_string(),
        }
    }
}

impl fmt::Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cgroup {}", self.folder.display())
    }
}

/// A process that is gone cannot be moved, and need not be.
fn move_to(folder: &Path, pid: u32) -> anyhow::Result<()> {
    let path = folder.join("cgroup.procs");
    match fs::write(&path, pid.to_string()) {
        Err(err) if err.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
        written => written.with_context(|| format!("move process {pid} to {}", folder.display())),
    }
}

/// Returns the cgroups that drills made in a run directory, with who made them.
pub(crate) fn of_drills(run_dir: &Path) -> Vec<(Cgroup, Option<Process>)> {
    let mut found = Vec::new();
    // In the unified hierarchy one is taken away alike, whatever it was made for.
    let all = hierarchies().into_iter().filter(|(version, _)| *version != Version::UnifiedDisk);
    for (version, mount) in all {
        for entry in fs::read_dir(&mount).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(maker) = name.strip_prefix(PREFIX) else { continue };
            let words: Vec<&str> = maker.splitn(4, '-').collect();
            let [pid, start_time, _step, of] = words[..] else { continue };
            // Another platform's drills are its own to clean up after.
            if of != place(run_dir) {
                continue;
            }
            let maker = pid.parse().ok().zip(start_time.parse().ok());
            let maker = maker.map(|(pid, start_time)| Process { pid, start_time });
            // Where they came from is not known any more; the root takes everybody.
            let cgroup = Cgroup { version, folder: entry.path(), home: mount.clone() };
            found.push((cgroup, maker));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_limited_in_the_words_of_the_hierarchy_that_can() {
        let folder = std::env::temp_dir().join(format!("chaos-writes-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let limited = |version: Version| {
            let cgroup = Cgroup { version, folder: folder.clone(), home: folder.clone() };
            cgroup.limit_writes("8:0", 20).unwrap();
            fs::read_to_string(folder.join(version.knob())).unwrap()
        };
        assert_eq!(limited(Version::Disk), "8:0 20");
        assert_eq!(limited(Version::UnifiedDisk), "8:0 wiops=20");
        assert!(folder.join("io.max").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
