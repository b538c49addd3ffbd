//! `site.freeze`: everything of a cell's active site stands still until healed, with all its
//! connections open: who lost power would be silent, too, but would not come back in the middle of
//! a sentence.

use topology::SiteId;

use super::{Bench, Injection};
use crate::freeze::freeze_trees;
use crate::process::Process;
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
    injection.begin(&bench.clock);
    injection.frozen.push(site.clone());
    let (frozen, how) =
        freeze_trees(&roots, safeguard, bench.action.ttl, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("froze {} processes of {site}", frozen.len()));
    injection.proof.push(format!("{} processes frozen; {how}", frozen.len()));
    Ok(())
}
