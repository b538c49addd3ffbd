//! `switchover`: a cell moves by plan, as an operator would have it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};
use topology::{CellId, RegionId};

use super::{Bench, Injection};

const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn inject(
    bench: &Bench<'_>,
    cell: &CellId,
    to: &RegionId,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    injection.begin(&bench.clock);
    bench.control_plane.switchover(cell, to).await?;
    injection.steps.push((bench.clock.now(), format!("moved {cell} to {to}")));
    until_serves(bench, cell, to).await?;
    injection.proof.push(format!("{cell} is active in {to}"));
    Ok(())
}

/// Waits until a cell serves where it has been sent to.
pub(super) async fn until_serves(
    bench: &Bench<'_>,
    cell: &CellId,
    to: &RegionId,
) -> anyhow::Result<()> {
    let due = Instant::now() + bench.action.verify_within;
    loop {
        let cells = bench.control_plane.cells().await?;
        let found = cells.iter().find(|seen| seen.id == *cell);
        let found = found.with_context(|| format!("find {cell} among the cells"))?;
        if found.active.as_ref() == Some(to) && found.phase == "steady" {
            return Ok(());
        }
        ensure!(Instant::now() < due, "see {cell} active in {to}: it is {}", found.phase);
        sleep(PAUSE).await;
    }
}
