//! `process.kill`: one process of a cell's active site dies by SIGKILL. Nobody is held back: that
//! it is started again, or taken over from, is what the drill looks at.

use topology::SiteId;

use super::process::find;
use super::{Bench, Injection};
use crate::drill::ProcessRole;
use crate::process::kill_one;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    role: ProcessRole,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let process = find(bench.platform, site, role)?;
    let (pid, name) = (process.pid, role.name());
    injection.begin(&bench.clock);
    kill_one(process, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("killed {name} of {site}, process {pid}"));
    injection.proof.push(format!("process {pid}, started at {}, is gone", process.start_time));
    Ok(())
}
