//! `platform upgrade`: the routers' program as it is now takes over from the one that runs.
//!
//! The supervisor does it, one router after the other; a router that cannot take over changes
//! nothing. Here it is asked to, watched, and told about.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use runtime::clock::BootTime;
use rustix::process::Signal;
use topology::wire::fleet::{FleetProcess, FleetRole};

use crate::app::Outcome;
use crate::disk;
use crate::machine::{Process, signal};
use crate::run_dir::RunDir;
use crate::terminal;

/// For each router: a successor that gets no routing table gives up after 20 s, and a predecessor
/// finishes what it has within another 20 s.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn upgrade(run_dir: &RunDir) -> anyhow::Result<Outcome> {
    let Some(supervisor) = run_dir.supervisor()? else {
        terminal::note(&format!("nothing runs in {}", run_dir.path().display()));
        return Ok(Outcome::NotRunning);
    };
    let before = routers(run_dir)?;
    // Who does not listen for it would end by it, and everything with it.
    ensure!(
        listens_for(supervisor, Signal::USR2)?,
        "ask process {} for an upgrade: it is of an earlier version, or has just begun; \
         restart it by `platform down` and `platform up`",
        supervisor.pid
    );
    signal(supervisor, Signal::USR2);
    for (name, old) in &before {
        let process = process(old).with_context(|| format!("upgrade {name}: it is not running"))?;
        let new = replaced(run_dir, name, old, process).await?;
        terminal::note(&format!("{name}: process {} took over from {}", new.pid, process.pid));
    }
    Ok(Outcome::Done)
}

/// Waits until a router has been replaced and has ended.
async fn replaced(
    run_dir: &RunDir,
    name: &str,
    old: &FleetProcess,
    process_before: Process,
) -> anyhow::Result<Process> {
    let until = BootTime::now() + PATIENCE;
    while BootTime::now() < until {
        let now = routers(run_dir)?.remove(name).with_context(|| format!("find {name}"))?;
        let was_tried = now.restarts > old.restarts;
        match process(&now) {
            Some(same) if same == process_before && was_tried => bail!(
                "upgrade {name}: the new process ended before it served, the old one goes on; \
                 see `platform logs {name}`"
            ),
            Some(new) if new != process_before && !process_before.is_alive() => return Ok(new),
            Some(_) | None => tokio::time::sleep(POLL).await,
        }
    }
    bail!("upgrade {name}: not done after {PATIENCE:?}; see `platform logs {name}`")
}

/// Returns whether a process has a handler for a signal.
fn listens_for(process: Process, signal: Signal) -> anyhow::Result<bool> {
    let path = format!("/proc/{}/status", process.pid);
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let caught = caught.with_context(|| format!("find what is caught in {path}"))?;
    Ok(caught >> (signal.as_raw() - 1) & 1 == 1)
}

fn routers(run_dir: &RunDir) -> anyhow::Result<BTreeMap<String, FleetProcess>> {
    let fleet = disk::fleet(run_dir)?.context("find the fleet")?;
    let routers = fleet.processes.into_iter().filter(|process| process.role == FleetRole::Router);
    Ok(routers.map(|process| (process.name.clone(), process)).collect())
}

fn process(line: &FleetProcess) -> Option<Process> {
    Some(Process { pid: line.pid?, start_time: line.start_time? })
}
