//! `platform down`: stops the supervisor, and checks that nothing of its fleet is left.

use std::time::Duration;

use anyhow::bail;
use runtime::clock::BootTime;
use rustix::process::Signal;

use crate::app::Outcome;
use crate::disk;
use crate::machine::{Process, signal};
use crate::run_dir::RunDir;
use crate::supervise::END_PATIENCE;
use crate::terminal;

/// A process whose parent was killed is gone within this.
const AFTERMATH: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn down(run_dir: &RunDir) -> anyhow::Result<Outcome> {
    let mut fleet = recorded(run_dir)?;
    let Some(supervisor) = run_dir.supervisor()? else {
        return orphans(run_dir, fleet).await;
    };
    fleet.extend(supervisor.descendants());
    signal(supervisor, Signal::TERM);
    if !gone(&[supervisor], END_PATIENCE).await {
        signal(supervisor, Signal::KILL);
        gone(&[supervisor], AFTERMATH).await;
    }
    fleet.extend(recorded(run_dir)?);
    if gone(&fleet, AFTERMATH).await {
        terminal::note("stopped; nothing is left running");
        return Ok(Outcome::Done);
    }
    let left = kill(&fleet);
    bail!("stop everything in order: processes {left} had to be killed")
}

/// A supervisor that died should have taken everything along.
async fn orphans(run_dir: &RunDir, fleet: Vec<Process>) -> anyhow::Result<Outcome> {
    if gone(&fleet, Duration::ZERO).await {
        terminal::note(&format!("nothing runs in {}", run_dir.path().display()));
        return Ok(Outcome::Done);
    }
    let family: Vec<Process> =
        fleet.iter().flat_map(|process| process.descendants()).chain(fleet.clone()).collect();
    let left = kill(&family);
    if !gone(&family, AFTERMATH).await {
        bail!("kill processes {left}, left by a supervisor that is gone");
    }
    terminal::note(&format!("killed {left}, left by a supervisor that is gone"));
    Ok(Outcome::Done)
}

fn recorded(run_dir: &RunDir) -> anyhow::Result<Vec<Process>> {
    let processes = disk::fleet(run_dir)?.map(|fleet| fleet.processes).unwrap_or_default();
    Ok(processes
        .iter()
        .filter_map(|process| Some(Process { pid: process.pid?, start_time: process.start_time? }))
        .collect())
}

async fn gone(processes: &[Process], patience: Duration) -> bool {
    let until = BootTime::now() + patience;
    loop {
        if !processes.iter().any(|process| process.is_alive()) {
            return true;
        }
        if BootTime::now() >= until {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Kills what is alive and names it.
fn kill(processes: &[Process]) -> String {
    let alive = processes.iter().filter(|process| process.is_alive());
    let names: Vec<String> = alive
        .map(|process| {
            signal(*process, Signal::KILL);
            process.pid.to_string()
        })
        .collect();
    names.join(", ")
}
