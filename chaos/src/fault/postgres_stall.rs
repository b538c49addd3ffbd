//! `postgres.stall`: every process of a cell's active PostgreSQL stands still for a moment. From
//! outside that looks like a disk that does not answer; no disk is touched.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use topology::SiteId;

use super::{Bench, Injection};
use crate::freeze::{Guard, stop_trees};

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    lasting: Duration,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let postmaster = bench.platform.postmaster(site)?.context("find the postmaster")?;
    let mut guard = Guard::start(bench.action.ttl).await?;
    injection.begin(&bench.clock);
    let stopped = stop_trees(&[postmaster], &mut guard, bench.action.verify_within).await?;
    let count = stopped.len();
    injection.step(&bench.clock, format!("stopped {count} processes of PostgreSQL of {site}"));
    sleep(lasting).await;
    guard.thaw()?;
    injection.step(&bench.clock, format!("let PostgreSQL of {site} go on"));
    injection.proof.push(format!(
        "{count} processes of PostgreSQL of {site} were in state T for {} ms",
        lasting.as_millis()
    ));
    Ok(())
}
