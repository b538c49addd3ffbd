//! `cpu.starve`: everything of a cell's active site shares a small part of one processor until
//! healed: it answers, and is slow at everything.

use topology::SiteId;

use super::{Bench, Injection};
use crate::freeze::starve_trees;
use crate::process::Process;
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    percent: u8,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let agent = bench.platform.agent(site)?;
    let roots: Vec<Process> =
        [Some(agent), bench.platform.postmaster(site)].into_iter().flatten().collect();
    injection.begin(&bench.clock);
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let (count, proof) = starve_trees(&roots, percent, safeguard, ttl, within).await?;
    injection.step(&bench.clock, format!("left {count} processes of {site} {percent} % of a CPU"));
    injection.proof.push(proof);
    Ok(())
}
