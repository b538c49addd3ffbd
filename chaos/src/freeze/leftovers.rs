//! What drills left frozen that did not live to thaw it, nor their guards.

use super::cgroup::of_drills;
use super::{Frozen, signal};
use crate::platform::Platform;
use crate::process::{Process, is_stopped};

/// Thaws what is left, and returns what that was.
pub(crate) fn thaw_leftovers(platform: &Platform) -> anyhow::Result<Vec<String>> {
    let mut told = Vec::new();
    for (cgroup, maker) in of_drills() {
        // Another platform's drill may be going on.
        if maker.is_some_and(Process::is_alive) {
            continue;
        }
        Frozen::Cgroup(cgroup.clone()).thaw()?;
        told.push(cgroup.to_string());
    }
    for member in platform.members()? {
        for process in member.processes.into_iter().filter(|process| is_stopped(*process)) {
            signal::go_on(process)?;
            told.push(format!("process {} of {}", process.pid, member.name));
        }
    }
    Ok(told)
}

/// Returns what is frozen still, though this drill is over.
pub(crate) fn left(platform: &Platform) -> anyhow::Result<Vec<String>> {
    let own = Process::own();
    let cgroups = of_drills().into_iter().filter(|(_, maker)| *maker == own);
    let mut left: Vec<String> = cgroups.map(|(cgroup, _)| cgroup.to_string()).collect();
    for member in platform.members()? {
        let stopped = member.processes.into_iter().filter(|process| is_stopped(*process));
        left.extend(
            stopped.map(|process| format!("process {} of {}: stopped", process.pid, member.name)),
        );
    }
    Ok(left)
}
