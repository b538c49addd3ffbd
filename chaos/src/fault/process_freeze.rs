//! `process.freeze`: one process of a cell's active site is stopped, and stays so until healed. Of
//! PostgreSQL that is the postmaster alone: whoever is connected already goes on being served.

use topology::SiteId;

use super::process::find;
use super::{Bench, Injection};
use crate::drill::ProcessRole;
use crate::freeze::stop_one;
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    role: ProcessRole,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let process = find(bench.platform, site, role)?;
    let (pid, name) = (process.pid, role.name());
    injection.begin(&bench.clock);
    injection.frozen.push(site.clone());
    stop_one(process, safeguard, bench.action.ttl, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("froze {name} of {site}, process {pid}"));
    injection.proof.push(format!("process {pid} is in state T"));
    Ok(())
}
