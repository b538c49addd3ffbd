//! Finding processes with everything they started, and killing them until none is left.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};
pub(crate) use runtime::process::Process;
use runtime::process::{Living, all};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

/// Between two looks at what is left: a killed process is gone within a few of these.
const LOOK: Duration = Duration::from_millis(10);

/// Kills one process and waits until it is gone.
pub(crate) async fn kill_one(process: Process, within: Duration) -> anyhow::Result<()> {
    process.signal(Signal::KILL).with_context(|| format!("kill process {}", process.pid))?;
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
    loop {
        extend(&mut found, roots);
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
            process
                .signal(Signal::KILL)
                .with_context(|| format!("kill process {}", process.pid))?;
        }
        sleep(LOOK).await;
    }
}

/// Returns those of `roots` that live, with everything they started.
pub(crate) fn tree(roots: &[Process]) -> BTreeSet<Process> {
    let mut found = roots.iter().copied().filter(|root| root.is_alive()).collect();
    extend(&mut found, roots);
    found
}

/// Returns whether a process is stopped by a signal: state T.
pub(crate) fn is_stopped(process: Process) -> bool {
    // The second field, the program's name in parentheses, may contain anything.
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state == Some('T') && process.is_alive()
}

/// Adds what those found have started, and who is in a group of one of the roots; but never this process
/// and what it has started, should what is looked at have started it.
fn extend(found: &mut BTreeSet<Process>, roots: &[Process]) {
    let table = all();
    grow(found, &table);
    let own = std::process::id();
    let is_in_group = |living: &&Living| {
        living.process.pid != own && roots.iter().any(|root| root.pid == living.group)
    };
    found.extend(table.iter().filter(is_in_group).map(|living| living.process));
}

/// Adds the children of those found, and theirs.
fn grow(found: &mut BTreeSet<Process>, table: &[Living]) {
    let by_pid = |pid: u32| table.iter().find(|living| living.process.pid == pid);
    let own = std::process::id();
    loop {
        let children: Vec<Process> = table
            .iter()
            .filter(|living| !found.contains(&living.process) && living.process.pid != own)
            .filter(|living| by_pid(living.parent).is_some_and(|l| found.contains(&l.process)))
            .map(|living| living.process)
            .collect();
        if children.is_empty() {
            return;
        }
        found.extend(children);
    }
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
        // In the middle of an exec a process has no arguments at all.
        let sleeps = |process: &Process| process.arguments().first().is_some_and(|a| a == "sleep");
        while process.descendants().iter().filter(|process| sleeps(process)).count() < 2 {
            std::thread::yield_now();
        }
        (child, process)
    }

    #[tokio::test]
    async fn a_tree_is_killed_with_those_who_left_the_group() {
        let (mut child, process) = family();
        let descendants = process.descendants();
        let killed = kill_trees(&[process], WITHIN).await.unwrap();
        assert!(
            killed.contains(&process)
                && descendants.iter().all(|descendant| killed.contains(descendant))
        );
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

    #[test]
    fn whoever_does_a_drill_is_not_among_what_its_starter_has_started() {
        let parent = all().into_iter().find(|living| living.process.pid == std::process::id());
        let starter = Process::with_pid(parent.unwrap().parent).unwrap();
        let found = tree(&[starter]);
        assert!(found.contains(&starter) && !found.contains(&Process::own().unwrap()));
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
}
