//! `postgres.stall`: every process of a cell's PostgreSQL stands still for a moment, at its active
//! site or at all its standbys. From outside that looks like a disk that does not answer; no disk
//! is touched.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use topology::SiteId;

use super::{Bench, Injection, Undo};
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

/// Stalls standbys, and goes on: what comes next happens meanwhile. The guard lets them go.
pub(super) async fn inject_behind(
    bench: &Bench<'_>,
    sites: &[SiteId],
    lasting: Duration,
    undo: &mut Undo,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let mut postmasters = Vec::new();
    for site in sites {
        let postmaster = bench.platform.postmaster(site)?;
        postmasters.push(postmaster.with_context(|| format!("find the postmaster of {site}"))?);
    }
    let guard = undo.guard(lasting).await?;
    injection.begin(&bench.clock);
    let stopped = stop_trees(&postmasters, guard, bench.action.verify_within).await?;
    let told: Vec<String> = sites.iter().map(ToString::to_string).collect();
    let what = format!("{} processes of PostgreSQL of {}", stopped.len(), told.join(", "));
    injection.step(&bench.clock, format!("stopped {what} for {} ms", lasting.as_millis()));
    injection.proof.push(format!("{what} are in state T"));
    Ok(())
}
