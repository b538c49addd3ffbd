//! `evacuate`: a region is emptied by plan, as an operator would have it, and its cells come home again.
//!
//! Should the run end in between, the region stays drained, as it would after an operator's evacuation.
//! The run says so, and that something was left behind: `bulkhead restore REGION` lets it back in.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};
use topology::RegionId;

use super::{Bench, Injection};

const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn inject(
    bench: &Bench<'_>,
    region: &RegionId,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    injection.begin(&bench.clock);
    let due = Instant::now() + bench.action.verify_within;
    carry_out(bench, "evacuate", region, due, injection).await?;
    let cells = bench.control_plane.cells().await?;
    let left = cells.iter().find(|cell| cell.active.as_ref() == Some(region));
    ensure!(left.is_none(), "see {region} empty: {} is active there", left.expect("seen").id);
    injection.proof.push(format!("no cell was active in {region}"));

    // Where everything was active a moment ago, it follows again before it is active again.
    loop {
        let cells = bench.control_plane.cells().await?;
        let Some(cell) = cells.iter().find(|cell| !cell.redundant) else { break };
        ensure!(Instant::now() < due, "see {} redundant: it is {}", cell.id, cell.phase);
        sleep(PAUSE).await;
    }
    carry_out(bench, "restore", region, due, injection).await?;
    let cells = bench.control_plane.cells().await?;
    let at_home = bench.platform.spec.cells.iter().filter(|cell| cell.home == *region);
    for cell in at_home {
        let is_back =
            cells.iter().any(|seen| seen.id == cell.id && seen.active.as_ref() == Some(region));
        ensure!(is_back, "see {} back in {region}", cell.id);
    }
    injection.proof.push(format!("every cell whose home is {region} is there"));
    Ok(())
}

/// Begins an operation, and waits until it has come to its end.
async fn carry_out(
    bench: &Bench<'_>,
    what: &str,
    region: &RegionId,
    due: Instant,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let id = bench.control_plane.begin(what, region).await?;
    injection.step(&bench.clock, format!("{what} {region}: operation {id}"));
    loop {
        let operation = bench.control_plane.operation(&id).await?;
        match operation.status.as_str() {
            "done" => break,
            "running" => {}
            ended => {
                let why = operation.why.unwrap_or_default();
                anyhow::bail!("{what} {region}: operation {id} is {ended}: {why}");
            }
        }
        let (ended, steps) = (operation.steps_ended, operation.steps);
        ensure!(Instant::now() < due, "{what} {region}: {ended} of {steps} steps in time");
        sleep(PAUSE).await;
    }
    injection.step(&bench.clock, format!("{what} {region}: done"));
    Ok(())
}
