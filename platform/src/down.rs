//! `platform down`: stops the supervisor, and checks that nothing of its fleet is left.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, ensure};
use runtime::clock::BootTime;
use runtime::volumes;
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
        none_mounted(run_dir.path(), &volumes::mounted(run_dir.path())?)?;
        terminal::note("stopped; nothing is left running");
        return Ok(Outcome::Done);
    }
    let left = kill(&fleet);
    bail!("stop everything in order: processes {left} had to be killed")
}

/// A supervisor that died should have taken everything along.
async fn orphans(run_dir: &RunDir, fleet: Vec<Process>) -> anyhow::Result<Outcome> {
    if gone(&fleet, Duration::ZERO).await {
        none_mounted(run_dir.path(), &volumes::mounted(run_dir.path())?)?;
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
    none_mounted(run_dir.path(), &volumes::mounted(run_dir.path())?)?;
    Ok(Outcome::Done)
}

/// Fails where a volume is mounted although its supervisor, who would have unmounted it, is gone.
fn none_mounted(run_dir: &Path, mounted: &[PathBuf]) -> anyhow::Result<()> {
    let places: Vec<_> = mounted.iter().map(|place| place.display().to_string()).collect();
    ensure!(
        places.is_empty(),
        "unmount {}: nothing of the platform runs, but they are still mounted; see with `fuser -vm PLACE` \
         who uses them, and unmount them as root with `umount PLACE`, or all of them with `chaos recover \
         --run-dir {}`",
        places.join(", "),
        run_dir.display()
    );
    Ok(())
}

fn recorded(run_dir: &RunDir) -> anyhow::Result<Vec<Process>> {
    let Some(fleet) = disk::fleet(run_dir)? else { return Ok(Vec::new()) };
    let inits = fleet.inits.values();
    let inits = inits.map(|init| Process { pid: init.pid, start_time: init.start_time });
    let inits = inits.filter(|init| !init.is_ending());
    let members = fleet.processes.iter();
    let members = members
        .filter_map(|member| Some(Process { pid: member.pid?, start_time: member.start_time? }));
    Ok(members.chain(inits).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_mounted_is_named_and_how_to_unmount_it() {
        let run_dir = Path::new("/var/lib/b");
        none_mounted(run_dir, &[]).unwrap();
        let left = ["c1@east", "c2@east"].map(|site| run_dir.join("sites").join(site));
        let told = none_mounted(run_dir, &left).unwrap_err().to_string();
        assert!(told.starts_with("unmount /var/lib/b/sites/c1@east, /var/lib/b/sites/c2@east: "));
        assert!(told.ends_with("`chaos recover --run-dir /var/lib/b`"), "{told}");
    }
}
