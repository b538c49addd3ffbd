//! What drills have left on this machine, found without any journal, by the names drills give to
//! what they make: holds, cgroups, stopped processes, policies of the WAN, packet filters, clocks, helpers.

use std::path::{Path, PathBuf};

use runtime::run_dir::supervisor;
use runtime::volumes;

use crate::fault::etcd::swap;
use crate::fault::{clock_offset, disk_full, hold};
use crate::filter;
use crate::freeze;
use crate::helper;
use crate::platform::{Member, Platform};
use crate::process::{Process, is_stopped};
use crate::undo::{PREFIX, Undo};
use crate::wan;

/// Something that is left, and what takes it away.
pub(crate) struct Left {
    pub(crate) what: String,
    pub(crate) undo: Undo,
}

/// A helper that ends late may have made again what was taken away before.
const ROUNDS: usize = 2;

/// What is looked for, for the proof that a machine is clean.
pub(crate) const LOOKED_FOR: [&str; 11] = [
    "holds of drills",
    "other data for etcd",
    "cgroups of drills",
    "stopped processes of the platform",
    "policies of the WAN",
    "packet filters",
    "clocks that are wrong",
    "helpers of drills",
    "databases without room",
    "volumes that nobody uses",
    "open journals",
];

/// What is left, and what could not be looked at: it may be anything.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) left: Vec<Left>,
    pub(crate) unknown: Vec<String>,
}

impl Found {
    /// Takes over what was found of one kind, or why that is not known.
    fn take<T>(
        &mut self,
        found: anyhow::Result<impl IntoIterator<Item = T>>,
        left: impl Fn(T) -> Left,
    ) {
        match found {
            Ok(found) => self.left.extend(found.into_iter().map(left)),
            Err(err) => self.unknown(&err),
        }
    }

    fn unknown(&mut self, err: &anyhow::Error) {
        self.unknown.push(format!("something may be left: failed to {err:#}"));
    }
}

/// Returns what is left. Nobody else's drill is touched: what its maker still watches is not left. What
/// cannot be looked at keeps nothing else from being found.
pub(crate) fn find(run_dir: &Path, platform: Option<&Platform>) -> Found {
    let mut found = Found::default();
    // First: whatever else is found is not made again by them, once they have ended.
    found.take(Ok(helper::of_drills(run_dir)), |(process, label)| {
        let what = format!("process {}: the helper {label}", process.pid);
        Left { what, undo: Undo::End { label } }
    });
    // Before their holds: nobody may run on what is exchanged.
    found.take(swap::of_drills(run_dir), |aside| {
        let what = format!("{}: other data for etcd", aside.display());
        Left { what, undo: Undo::Etcd { aside } }
    });
    found.take(hold::of_drills(run_dir), |(path, reason)| {
        let what = format!("hold {} of {reason}", path.display());
        Left { what, undo: Undo::Hold { path, reason } }
    });
    let own = Process::own();
    let mut cgroups = freeze::of_drills(run_dir);
    cgroups.retain(|(_, maker)| *maker == own || !maker.is_some_and(Process::is_alive));
    found.take(Ok(cgroups), |(cgroup, _)| Left {
        what: cgroup.to_string(),
        undo: Undo::Leave(cgroup),
    });
    let members = platform.map_or_else(|| Ok(Vec::new()), Platform::members);
    found.take(members.map(stopped), |(name, process)| {
        let what = format!("process {} of {name}: stopped", process.pid);
        Left { what, undo: Undo::GoOn(process.into()) }
    });
    found.take(policies(run_dir), |left| left);
    let fleet = platform.map(Platform::fleet).transpose();
    if let Err(err) = &fleet {
        found.unknown(err);
    }
    let (filters, unknown) = filter::of_drills(run_dir, fleet.ok().flatten().as_ref());
    for err in &unknown {
        found.unknown(err);
    }
    found.take(Ok(filters), |filter| Left { what: filter.told(), undo: Undo::Filter(filter) });
    found.take(clock_offset::of_drills(run_dir), |path| {
        let what = format!("clock {}: wrong", path.display());
        Left { what, undo: Undo::Clock { path } }
    });
    let full = platform.map(disk_full::of_drills).unwrap_or_default();
    found.take(Ok(full), |data| {
        let what = format!("the server of {}: without room", data.display());
        Left { what, undo: Undo::Room { data } }
    });
    found.take(unused_volumes(run_dir), |place| {
        let what = format!("the volume at {}, which nobody uses", place.display());
        Left { what, undo: Undo::Unmount { place } }
    });
    found
}

/// A supervisor unmounts what it has mounted, unless it is killed.
fn unused_volumes(run_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    match supervisor(run_dir)? {
        Some(_) => Ok(Vec::new()),
        None => volumes::mounted(run_dir),
    }
}

fn stopped(members: Vec<Member>) -> Vec<(String, Process)> {
    let each = members.into_iter().flat_map(|member| {
        let Member { name, processes } = member;
        processes.into_iter().map(move |process| (name.clone(), process))
    });
    each.filter(|(_, process)| is_stopped(*process)).collect()
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

/// Takes all of it away, and what was made while that was done; returns what it was, and what could not
/// be taken away or looked at.
pub(crate) fn clean(run_dir: &Path, platform: Option<&Platform>) -> (Vec<String>, Vec<String>) {
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let Found { left, unknown } = find(run_dir, platform);
        failed = unknown;
        if left.is_empty() {
            break;
        }
        for Left { what, undo } in left {
            match undo.play() {
                Ok(_) => told.push(what),
                Err(err) => failed.push(format!("{what}: {err:#}")),
            }
        }
    }
    told.dedup();
    (told, failed)
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
        assert_eq!(find(&run_dir, None).left.iter().filter(is_hold).count(), 1);
        clean(&run_dir, None);
        assert!(!of_drill.exists() && other.exists());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
