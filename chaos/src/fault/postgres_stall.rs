//! `postgres.stall`: every process of a cell's active PostgreSQL stands still for a moment. From
//! outside that looks like a disk that does not answer; no disk is touched.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use topology::SiteId;

use super::{Bench, Injection};
use crate::freeze::stop_trees;
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    lasting: Duration,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let postmaster = bench.platform.postmaster(site).context("find the postmaster")?;
    injection.begin(&bench.clock);
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let (stopped, steps) = stop_trees(&[postmaster], safeguard, ttl, within).await?;
    let count = stopped.len();
    injection.step(&bench.clock, format!("stopped {count} processes of PostgreSQL of {site}"));
    sleep(lasting).await;
    safeguard.revert(&steps)?;
    injection.step(&bench.clock, format!("let PostgreSQL of {site} go on"));
    injection.proof.push(format!(
        "{count} processes of PostgreSQL of {site} were in state T for {} ms",
        lasting.as_millis()
    ));
    Ok(())
}
