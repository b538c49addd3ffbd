//! What drills have left on this machine, found without any journal, by the names drills give to
//! what they make: holds, cgroups, stopped processes, policies of the WAN, packet filters, clocks, helpers.

use std::path::Path;

use crate::fault::{clock_offset, disk_full, hold};
use crate::filter;
use crate::freeze;
use crate::helper;
use crate::platform::Platform;
use crate::process::{Process, is_stopped};
use crate::undo::{PREFIX, Undo};
use crate::wan;

/// Something that is left, and what takes it away.
pub(crate) struct Left {
    pub(crate) what: String,
    pub(crate) undo: Undo,
}

/// What is looked for, for the proof that a machine is clean.
pub(crate) const LOOKED_FOR: [&str; 9] = [
    "holds of drills",
    "cgroups of drills",
    "stopped processes of the platform",
    "policies of the WAN",
    "packet filters",
    "clocks that are wrong",
    "helpers of drills",
    "databases without room",
    "open journals",
];

/// Returns what is left. Nobody else's drill is touched: what its maker still watches is not left.
pub(crate) fn find(run_dir: &Path, platform: Option<&Platform>) -> anyhow::Result<Vec<Left>> {
    let mut left = Vec::new();
    for (path, reason) in hold::of_drills(run_dir)? {
        let what = format!("hold {} of {reason}", path.display());
        left.push(Left { what, undo: Undo::Hold { path, reason } });
    }
    let own = Process::own();
    for (cgroup, maker) in freeze::of_drills(run_dir) {
        if maker == own || !maker.is_some_and(Process::is_alive) {
            left.push(Left { what: cgroup.to_string(), undo: Undo::Leave(cgroup) });
        }
    }
    let members = platform.map_or_else(|| Ok(Vec::new()), Platform::members)?;
    for member in members {
        for process in member.processes.into_iter().filter(|process| is_stopped(*process)) {
            let what = format!("process {} of {}: stopped", process.pid, member.name);
            left.push(Left { what, undo: Undo::GoOn(process.into()) });
        }
    }
    left.extend(policies(run_dir)?);
    let fleet = platform.map(Platform::fleet).transpose()?;
    for filter in filter::of_drills(run_dir, fleet.as_ref()) {
        left.push(Left { what: filter.told(), undo: Undo::Filter(filter) });
    }
    for path in clock_offset::of_drills(run_dir)? {
        let what = format!("clock {}: wrong", path.display());
        left.push(Left { what, undo: Undo::Clock { path } });
    }
    for (process, label) in helper::of_drills(run_dir) {
        let what = format!("process {}: the helper {label}", process.pid);
        left.push(Left { what, undo: Undo::End { label } });
    }
    for data in platform.map(disk_full::of_drills).transpose()?.unwrap_or_default() {
        let what = format!("the server of {}: without room", data.display());
        left.push(Left { what, undo: Undo::Room { data } });
    }
    Ok(left)
}

/// One drill at a time runs on a platform: whoever looks has its lock, or none runs.
fn policies(run_dir: &Path) -> anyhow::Result<Vec<Left>> {
    let socket = wan::socket(run_dir);
    if !wan::is_there(&socket)? {
        return Ok(Vec::new());
    }
    let ids = wan::policies(&socket)?.into_iter().map(|force| force.policy.id);
    let of_drills = ids.filter(|id| id.starts_with(PREFIX));
    let left = of_drills.map(|id| {
        let what = format!("policy {id} of the WAN");
        Left { what, undo: Undo::Lift { socket: socket.clone(), id } }
    });
    Ok(left.collect())
}

/// Takes all of it away; returns what it was.
pub(crate) fn clean(run_dir: &Path, platform: Option<&Platform>) -> anyhow::Result<Vec<String>> {
    let mut told = Vec::new();
    for left in find(run_dir, platform)? {
        left.undo.play()?;
        told.push(left.what);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use topology::wire::fleet::Hold;

    use super::*;

    #[test]
    fn what_a_drill_did_not_live_to_lift_is_lifted_and_nobody_elses() {
        let run_dir = std::env::temp_dir().join(format!("chaos-sweep-{}", std::process::id()));
        fs::create_dir_all(run_dir.join("holds")).unwrap();
        let place = |name: &str, reason: String| {
            let path = run_dir.join(format!("holds/{name}.json"));
            fs::write(&path, serde_json::to_vec(&Hold { until: 7, reason }).unwrap()).unwrap();
            path
        };
        let of_drill = place("c1@east", hold::reason("run-1"));
        let other = place("router-1", "maintenance".to_owned());
        let is_hold = |left: &&Left| matches!(left.undo, Undo::Hold { .. });
        assert_eq!(find(&run_dir, None).unwrap().iter().filter(is_hold).count(), 1);
        clean(&run_dir, None).unwrap();
        assert!(!of_drill.exists() && other.exists());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
