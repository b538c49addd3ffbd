//! `platform up --detach`: starts the supervisor in the background and waits until it serves.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use topology::Spec;

use crate::cli::WorldArgs;
use crate::decide::readiness::CellSeen;
use crate::launch;
use crate::machine::{Process, signal};
use crate::readiness::{Observer, tail};
use crate::run_dir::RunDir;
use crate::supervise::END_PATIENCE;

/// The supervisor's own log.
const NAME: &str = "platform";
/// Enough for a list of problems.
const TAIL: usize = 20;
const POLL: Duration = Duration::from_millis(50);

/// Returns the cells and the supervisor's pid once the platform serves.
pub(crate) async fn start(
    spec_path: &Path,
    world: &WorldArgs,
    spec: &Spec,
    run_dir: &RunDir,
) -> anyhow::Result<(Vec<CellSeen>, u32)> {
    let mut supervisor = spawn(spec_path, world, run_dir)?;
    let pid = supervisor.id();
    let observer = Observer::new(spec, run_dir)?;
    let served = observer.wait(|| alive(&mut supervisor, run_dir)).await;
    match served {
        Ok(cells) => Ok((cells, pid)),
        Err(err) => {
            stop(&mut supervisor).await?;
            Err(err)
        }
    }
}

fn spawn(spec_path: &Path, world: &WorldArgs, run_dir: &RunDir) -> anyhow::Result<Child> {
    let log = run_dir.log(NAME);
    launch::rotate(&log)?;
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("open {}", log.display()))?;
    let err = out.try_clone().with_context(|| format!("open {} twice", log.display()))?;
    let own = std::env::current_exe().context("find the own program")?;
    Command::new(own)
        .args(["background", "--spec"])
        .arg(spec_path)
        .arg("--run-dir")
        .arg(run_dir.path())
        .args(world.wan.then_some("--wan"))
        .args(world.clocks.then_some("--clocks"))
        .args(world.volumes.map(|bytes| format!("--volumes={}m", bytes >> 20)))
        .args(world.drills.iter().flat_map(|suite| ["--drills", suite]))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .context("start the supervisor")
}

fn alive(supervisor: &mut Child, run_dir: &RunDir) -> anyhow::Result<()> {
    match supervisor.try_wait().context("wait for the supervisor")? {
        None => Ok(()),
        Some(status) => {
            let log = run_dir.log(NAME);
            let lines = tail(&log, TAIL).join("\n  ");
            bail!("keep the supervisor running: {status}; {} ends\n  {lines}", log.display())
        }
    }
}

async fn stop(supervisor: &mut Child) -> anyhow::Result<()> {
    if let Some(process) = Process::with_pid(supervisor.id()) {
        signal(process, Signal::TERM);
    }
    let stopped = async {
        while supervisor.try_wait().context("wait for the supervisor")?.is_none() {
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(END_PATIENCE, stopped).await {
        Ok(result) => result,
        // Its children die with it.
        Err(_) => supervisor.kill().context("kill the supervisor"),
    }
}
