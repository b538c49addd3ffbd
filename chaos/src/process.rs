//! Processes of this machine, named for good: found in `/proc`, killed through a pidfd.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

/// Between two looks at what is left: a killed process is gone within a few of these.
const LOOK: Duration = Duration::from_millis(10);

/// One process for good: a pid alone may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Field 22 of `/proc/PID/stat`.
    pub(crate) start_time: u64,
}

/// A living process and its place among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Living {
    process: Process,
    parent: u32,
    group: u32,
}

impl Process {
    /// Returns the process that has this pid now; `None` if none has, or only a zombie.
    pub(crate) fn with_pid(pid: u32) -> Option<Self> {
        living(pid).map(|living| living.process)
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::with_pid(self.pid) == Some(self)
    }

    /// Returns the arguments it was started with.
    pub(crate) fn arguments(self) -> Vec<String> {
        let text = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = text.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// Returns every process started by this one, by those, and so on.
    pub(crate) fn descendants(self) -> BTreeSet<Self> {
        let mut found = BTreeSet::from([self]);
        grow(&mut found, &table());
        found.remove(&self);
        found
    }

    /// Kills it, whatever it is doing, and nobody else who may have its pid by now.
    fn kill(self) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("not a pid"))?;
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            opened => opened?,
        };
        // Looked at after opening: the descriptor cannot come to mean another one any more.
        if !self.is_alive() {
            return Ok(());
        }
        match pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

/// Kills one process and waits until it is gone.
pub(crate) async fn kill_one(process: Process, within: Duration) -> anyhow::Result<()> {
    process.kill().with_context(|| format!("kill process {}", process.pid))?;
    let due = Instant::now() + within;
    while process.is_alive() {
        if Instant::now() >= due {
            bail!("kill process {}: still there after {within:?}", process.pid);
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Kills processes with everything they started, `roots` first and in their order, again
/// and again until none is left. Returns all that were killed.
///
/// The trees are gathered before the first is killed: an orphan has no parent to be found by. One
/// that is born in between still is in its group.
pub(crate) async fn kill_trees(
    roots: &[Process],
    within: Duration,
) -> anyhow::Result<BTreeSet<Process>> {
    let due = Instant::now() + within;
    let mut found: BTreeSet<Process> = roots.iter().copied().collect();
    let groups: BTreeSet<u32> = roots.iter().map(|root| root.pid).collect();
    loop {
        let table = table();
        grow(&mut found, &table);
        found.extend(
            table.iter().filter(|living| groups.contains(&living.group)).map(|l| l.process),
        );
        let left: Vec<Process> = found.iter().copied().filter(|found| found.is_alive()).collect();
        if left.is_empty() {
            return Ok(found);
        }
        if Instant::now() >= due {
            bail!("kill {} processes: {} still there after {within:?}", found.len(), left.len());
        }
        // In the order given: who would start the others again comes first.
        let first = roots.iter().filter(|root| left.contains(root));
        for process in first.chain(left.iter().filter(|process| !roots.contains(process))) {
            process.kill().with_context(|| format!("kill process {}", process.pid))?;
        }
        sleep(LOOK).await;
    }
}

/// Adds the children of those found, and theirs.
fn grow(found: &mut BTreeSet<Process>, table: &[Living]) {
    let by_pid = |pid: u32| table.iter().find(|living| living.process.pid == pid);
    loop {
        let children: Vec<Process> = table
            .iter()
            .filter(|living| !found.contains(&living.process))
            .filter(|living| by_pid(living.parent).is_some_and(|l| found.contains(&l.process)))
            .map(|living| living.process)
            .collect();
        if children.is_empty() {
            return;
        }
        found.extend(children);
    }
}

fn table() -> Vec<Living> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(living).collect()
}

fn living(pid: u32) -> Option<Living> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in parentheses, and may contain anything. Zombies are
/// dead: nobody has waited for them yet.
fn parse(pid: u32, text: &str) -> Option<Living> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let process = Process { pid, start_time: fields.get(19)?.parse().ok()? };
    Some(Living {
        process,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    /// A shell in its own group with two sleeping children, one of which left the group; returns
    /// once all three are there.
    fn family() -> (Child, Process) {
        let child = Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & setsid sleep 1000 & wait"])
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process::with_pid(child.id()).unwrap();
        while process.descendants().iter().filter(|p| p.arguments()[0] == "sleep").count() < 2 {
            std::thread::yield_now();
        }
        (child, process)
    }

    #[tokio::test]
    async fn a_tree_is_killed_with_those_who_left_the_group() {
        let (mut child, process) = family();
        let descendants = process.descendants();
        let killed = kill_trees(&[process], WITHIN).await.unwrap();
        assert!(killed.contains(&process) && killed.is_superset(&descendants));
        assert!(killed.iter().all(|killed| !killed.is_alive()));
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn one_process_is_killed_and_its_parent_lives_on() {
        let (mut child, process) = family();
        let sleeper = *process.descendants().first().unwrap();
        kill_one(sleeper, WITHIN).await.unwrap();
        assert!(!sleeper.is_alive());
        assert!(process.is_alive());
        kill_trees(&[process], WITHIN).await.unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn somebody_else_with_the_same_pid_is_not_killed() {
        let (mut child, process) = family();
        let other = Process { start_time: process.start_time + 1, ..process };
        kill_one(other, WITHIN).await.unwrap();
        assert!(process.is_alive());
        kill_trees(&[process], WITHIN).await.unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b) S 7 41 42 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 98765 1 2";
        let living = parse(42, line).unwrap();
        assert_eq!((living.parent, living.group, living.process.start_time), (7, 41, 98765));
        assert_eq!(parse(42, &line.replace(") S", ") Z")), None);
    }
}
