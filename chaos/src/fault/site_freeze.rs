//! `site.freeze`: everything of a cell's active site stands still until healed, with all its
//! connections open: who lost power would be silent, too, but would not come back in the middle of
//! a sentence.

use topology::SiteId;

use super::{Bench, Injection, Undo};
use crate::freeze::freeze_trees;
use crate::process::Process;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    undo: &mut Undo,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let agent = bench.platform.agent(site)?;
    let roots: Vec<Process> =
        [Some(agent), bench.platform.postmaster(site)?].into_iter().flatten().collect();
    let guard = undo.guard(bench.action.ttl).await?;
    injection.begin(&bench.clock);
    injection.frozen.push(site.clone());
    let (frozen, how) = freeze_trees(&roots, guard, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("froze {} processes of {site}", frozen.len()));
    injection.proof.push(format!("{} processes frozen; {how}", frozen.len()));
    Ok(())
}
