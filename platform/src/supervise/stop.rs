//! Stops the fleet: first what takes requests, last what everything rests on.

use std::time::Duration;

use runtime::clock::BootTime;
use runtime::mounts;
use runtime::process::{Living, all as all_processes};
use rustix::process::Signal;
use topology::wire::fleet::FleetRole;
use tracing::{info, warn};

use super::member::Member;
use crate::machine::{self, Process};

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
pub(crate) const PATIENCE: Duration = Duration::from_secs(31);
/// From when a supervisor is asked to stop until it is gone: after its fleet it unmounts the volumes.
pub(crate) const END_PATIENCE: Duration =
    PATIENCE.saturating_add(mounts::PATIENCE).saturating_add(Duration::from_secs(1));
const POLL: Duration = Duration::from_millis(20);
/// A killed process is gone within this, unless the disk hangs.
const KILLED: Duration = Duration::from_secs(1);

/// Stops every member, and then kills whatever any of them started and left behind.
pub(super) async fn all(members: &mut [Member]) {
    let known: Vec<Process> = Process::own().map_or_else(Vec::new, Process::descendants);
    end_drills(members).await;
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
    let left: Vec<Process> = known.into_iter().filter(|process| process.is_alive()).collect();
    for process in &left {
        machine::signal(*process, Signal::KILL);
    }
    info!(killed = left.len(), "fleet stopped");
}

/// Ends what control planes have started, which is drills, and all that these have started.
async fn end_drills(members: &[Member]) {
    let control_planes = members.iter().filter(|member| member.role() == FleetRole::ControlPlane);
    let control_planes: Vec<Process> = control_planes.flat_map(Member::processes).collect();
    let started = control_planes.iter().copied().flat_map(Process::descendants);
    let mut left: Vec<Process> = started.collect();
    let is_theirs =
        |living: &Living| control_planes.iter().any(|process| process.pid == living.parent);
    // They see to the rest: a guard has to stay until nothing is left to be taken away.
    for living in all_processes().into_iter().filter(is_theirs) {
        machine::signal(living.process, Signal::TERM);
    }
    let until = BootTime::now() + DRILLS;
    while !left.is_empty() && BootTime::now() < until {
        tokio::time::sleep(POLL).await;
        left.retain(|process| process.is_alive());
    }
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

    #[test]
    fn the_fleet_has_as_long_as_all_stages_take() {
        let stages: Duration = STAGES.iter().map(|(_, patience)| *patience + KILLED).sum();
        assert!(DRILLS + stages < PATIENCE);
    }
}
