//! `site.kill`: everything of a cell's active site dies by SIGKILL, and stays down.

use topology::SiteId;
use topology::address::Port;

use super::refuses::all_refuse;
use super::{Bench, Injection, hold};
use crate::process::{Process, kill_trees};
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let agent = bench.platform.agent(site)?;
    let roots: Vec<Process> =
        [Some(agent), bench.platform.postmaster(site)].into_iter().flatten().collect();
    hold::place(bench, safeguard, &site.to_string())?;
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
