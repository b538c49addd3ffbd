//! `router.upgrade`: the program that is there now takes over each router, one after the other, as an operator
//! would have it by `platform upgrade`. It is the same program as before; what is tried is the taking over.
//!
//! Nothing is held, filtered or limited. Ended in the middle, it leaves some routers replaced and all serving.

use std::time::Duration;

use anyhow::{bail, ensure};

use super::program::{self, ended};
use super::router_kill::names;
use super::{Bench, Injection};
use crate::process::Process;

/// It only looks on: the supervisor does it, and goes on.
const STOP: Duration = Duration::from_secs(2);

pub(super) async fn inject(bench: &Bench<'_>, injection: &mut Injection) -> anyhow::Result<()> {
    let names = names(bench)?;
    ensure!(!names.is_empty(), "find a router in fleet.json");
    let running = |name: &String| bench.platform.running(name);
    let before: Vec<Process> = names.iter().map(running).collect::<anyhow::Result<_>>()?;
    injection.begin(&bench.clock);
    let mut command = program::platform()?;
    command.args(["upgrade", "--run-dir"]).arg(&bench.platform.run_dir);
    let within = bench.action.verify_within;
    let Some(output) = ended(command.into(), within, STOP).await? else {
        bail!("see every router's program replaced within {within:?}");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "upgrade the routers: {}: {}", output.status, said.trim());
    injection.step(&bench.clock, "upgraded every router".to_owned());
    for (name, old) in names.iter().zip(before) {
        let new = bench.platform.running(name)?;
        ensure!(new != old && !old.is_alive(), "see process {} of {name} replaced", old.pid);
        injection
            .proof
            .push(format!("{name}: process {} took over from {}, which is gone", new.pid, old.pid));
    }
    Ok(())
}
