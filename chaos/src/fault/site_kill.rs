//! `site.kill`: everything of a cell's active site dies by SIGKILL, and stays down.

use anyhow::Context as _;
use topology::SiteId;
use topology::address::Port;

use super::process_kill::postmaster;
use super::refuses::all_refuse;
use super::{Bench, Holds, Injection};
use crate::platform::Platform;
use crate::process::{Process, kill_trees};

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    holds: &mut Holds,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let agent = agent(bench.platform, site)?;
    let roots: Vec<Process> =
        [Some(agent), postmaster(bench.platform, site)?].into_iter().flatten().collect();
    holds.place(&site.to_string())?;
    injection.begin(&bench.clock);
    let killed = kill_trees(&roots, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("killed {} processes of {site}", killed.len()));
    let spec = &bench.platform.spec;
    let ports = [Port::Agent, Port::Gateway, Port::Postgres];
    let addresses: Vec<_> =
        ports.iter().filter_map(|p| spec.site_address(&site.cell, &site.region, *p)).collect();
    all_refuse(&addresses, bench.action.verify_within).await?;
    injection.proof.push(format!("{} processes are gone", killed.len()));
    injection.proof.push(format!("{addresses:?} refuse connections"));
    Ok(())
}

/// Returns a site's agent.
pub(super) fn agent(platform: &Platform, site: &SiteId) -> anyhow::Result<Process> {
    let name = site.to_string();
    let fleet = platform.fleet()?;
    let listed = fleet.processes.iter().find(|process| process.name == name);
    let listed = listed.with_context(|| format!("find {name} in fleet.json"))?;
    let process =
        listed.pid.zip(listed.start_time).map(|(pid, start_time)| Process { pid, start_time });
    process.filter(|process| process.is_alive()).with_context(|| format!("find {name} running"))
}
