//! Stops the fleet: first what takes requests, last what everything rests on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use runtime::clock::BootTime;
use runtime::mounts;
use runtime::process::all as all_processes;
use rustix::process::Signal;
use topology::wire::fleet::FleetRole;
use tracing::{info, warn};

use super::member::Member;
use crate::machine::{self, Process};
use crate::run_dir::RunDir;
use crate::wan::inits::Inits;

/// In this order. Agents stop PostgreSQL, which writes a checkpoint; nobody else has much to do. The
/// last etcd member would wait for its peers, in vain: its log is on disk, so it is killed.
const STAGES: [(FleetRole, Duration); 5] = [
    (FleetRole::Router, Duration::from_secs(2)),
    (FleetRole::Site, Duration::from_secs(10)),
    (FleetRole::ControlPlane, Duration::from_secs(2)),
    (FleetRole::Etcd, Duration::from_millis(500)),
    (FleetRole::Wan, Duration::from_millis(500)),
];
/// Drills take away what they did, while what they did it to is still there.
const DRILLS: Duration = Duration::from_secs(10);
/// More than all stages together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);
/// From when a supervisor is asked to stop until it is gone: after its fleet it unmounts the volumes.
pub(crate) const END_PATIENCE: Duration =
    PATIENCE.saturating_add(mounts::PATIENCE).saturating_add(Duration::from_secs(1));
const POLL: Duration = Duration::from_millis(20);
/// A killed process is gone within this, unless the disk hangs.
const KILLED: Duration = Duration::from_secs(1);

/// Stops every member, and then kills whatever any of them started and left behind.
pub(super) async fn all(members: &mut [Member], inits: &mut Inits, run_dir: &RunDir) {
    let mut known: BTreeSet<Process> =
        Process::own().map_or_else(Vec::new, Process::descendants).into_iter().collect();
    known.extend(end_drills(run_dir.path()).await);
    for (role, patience) in STAGES {
        signal_all(members, role, Signal::TERM);
        if !wait(members, role, patience).await {
            for late in members.iter().filter(|member| member.role() == role && member.is_running())
            {
                info!(process = late.name(), ?patience, "process is killed");
            }
            signal_all(members, role, Signal::KILL);
            wait(members, role, KILLED).await;
        }
    }
    inits.end().await;
    let left: Vec<Process> = known.into_iter().filter(|process| process.is_alive()).collect();
    for process in &left {
        machine::signal(*process, Signal::KILL);
    }
    info!(killed = left.len(), "fleet stopped");
}

/// Ends the drills that control planes of this platform have started, whether or not those still live, and
/// returns who is left of them and of all they have started once their time is over.
async fn end_drills(run_dir: &Path) -> Vec<Process> {
    let all = all_processes().into_iter().map(|living| living.process);
    let drills: Vec<Process> = all
        .filter(|process| is_scheduled_drill(&process.arguments(), run_dir))
        .filter(|process| finds(*process, run_dir))
        .collect();
    // Before they are asked: an orphan has no parent to be found by.
    let mut left: Vec<Process> =
        drills.iter().flat_map(|drill| drill.descendants()).chain(drills.iter().copied()).collect();
    // They see to the rest: a guard has to stay until nothing is left to be taken away.
    for drill in drills {
        machine::signal(drill, Signal::TERM);
    }
    let until = BootTime::now() + DRILLS;
    loop {
        left.retain(|process| process.is_alive());
        if left.is_empty() || BootTime::now() >= until {
            return left;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether these are the arguments of what follows a suite on a platform for its control plane, and ends
/// with it: `chaos suite run SUITE --tied-to REGION --run-dir DIR`.
fn is_scheduled_drill(arguments: &[String], run_dir: &Path) -> bool {
    let follows = |words: &[String]| {
        Path::new(&words[0]).ends_with("chaos") && words[1] == "suite" && words[2] == "run"
    };
    let is_there = |pair: &[String]| pair[0] == "--run-dir" && Path::new(&pair[1]) == run_dir;
    arguments.windows(3).any(follows)
        && arguments.iter().any(|word| word == "--tied-to")
        && arguments.windows(2).any(is_there)
}

/// Whether a process finds the same folder where this one does: in a container of its own, the same path is
/// another platform's. One that may not be looked at, or is gone, does not.
fn finds(process: Process, folder: &Path) -> bool {
    let which = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    // Without symbolic links, which would lead out of the container again.
    let Ok(named) = fs::canonicalize(folder) else { return false };
    let there = format!("/proc/{}/root{}", process.pid, named.display());
    which(&named).is_some_and(|here| which(Path::new(&there)) == Some(here))
}

fn signal_all(members: &[Member], role: FleetRole, signal: Signal) {
    let of_role = members.iter().filter(|member| member.role() == role);
    for process in of_role.flat_map(Member::processes) {
        machine::signal(process, signal);
    }
}

/// Returns whether all members of a role exited in time.
async fn wait(members: &mut [Member], role: FleetRole, patience: Duration) -> bool {
    let until = BootTime::now() + patience;
    loop {
        let now = BootTime::now();
        for member in members.iter_mut().filter(|member| member.role() == role) {
            if let Err(err) = member.reap_stopped(now) {
                warn!(process = member.name(), error = format!("{err:#}"), "exit is not known");
            }
        }
        if !members.iter().any(|member| member.role() == role && member.is_running()) {
            return true;
        }
        if now >= until {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wan::inits;

    #[test]
    fn a_scheduled_drill_is_known_by_its_arguments_and_nobody_elses_is() {
        check("chaos suite run weekly --tied-to east --run-dir /var/lib/b", true);
        check("chaos suite run weekly --tied-to east --run-dir /var/lib/b/", true);
        check("chaos suite run weekly --tied-to east --run-dir /var/lib/bulkhead", false);
        check("chaos suite run weekly --tied-to east --run-dir", false);
        check("chaos suite run weekly --run-dir /var/lib/b", false);
        check("control-plane --drills weekly --run-dir /var/lib/b", false);
    }

    #[test]
    fn a_scheduled_drill_is_one_of_chaos_that_follows_a_suite() {
        check("/opt/b/chaos suite run weekly --tied-to east --run-dir /var/lib/b", true);
        check("/opt/b/chaos suite plan weekly --tied-to east --run-dir /var/lib/b", false);
        check("/opt/b/chaos run cell-loss --tied-to east --run-dir /var/lib/b", false);
        check("/opt/chaos/b suite run weekly --tied-to east --run-dir /var/lib/b", false);
        check("grep suite run --tied-to --run-dir /var/lib/b", false);
    }

    #[test]
    fn a_folder_is_found_by_whoever_lives_here_and_can_be_asked() {
        let own = Process::own().unwrap();
        assert!(finds(own, &std::env::temp_dir()));
        assert!(!finds(own, Path::new("/nowhere/at/all")));
        assert!(!finds(Process { pid: 0, start_time: 0 }, &std::env::temp_dir()));
    }

    #[track_caller]
    fn check(line: &str, expected: bool) {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(is_scheduled_drill(&arguments, Path::new("/var/lib/b")), expected);
    }

    #[test]
    fn the_fleet_has_as_long_as_all_stages_take() {
        let stages: Duration = STAGES.iter().map(|(_, patience)| *patience + KILLED).sum();
        assert!(DRILLS + stages + inits::END < PATIENCE);
    }
}
