//! `replication.stall`: the processes that send a cell's WAL to its standbys stand still for a
//! moment, as behind a line that carries nothing. What is written meanwhile is on the active site
//! alone, or of two standbys on one. Stopping who receives would not do: what was sent waits for them in
//! the kernel.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use topology::SiteId;

use super::{Bench, Injection};
use crate::drill::Standbys;
use crate::freeze::stop_trees;
use crate::process::Process;
use crate::safeguard::Safeguard;

/// How PostgreSQL calls them in the list of processes.
const NAME: &str = "walsender";

/// Goes on at once: what comes next happens meanwhile. The guard lets them go when it is over.
pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    (standbys, lasting): (Standbys, Duration),
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let postmaster = bench.platform.postmaster(site).context("find the postmaster")?;
    let sends = |process: &Process| process.arguments().iter().any(|text| text.contains(NAME));
    let mut senders: Vec<Process> = postmaster.descendants().into_iter().filter(sends).collect();
    ensure!(!senders.is_empty(), "find who sends WAL from {site}: nobody does");
    let all = senders.len();
    if standbys == Standbys::One {
        ensure!(all > 1, "stall one of several standbys of {site}: it sends WAL to one");
        senders.truncate(1);
    }
    injection.begin(&bench.clock);
    let within = bench.action.verify_within;
    let (stopped, _) = stop_trees(&senders, safeguard, lasting, within).await?;
    let count = stopped.len();
    let millis = lasting.as_millis();
    let told = format!("stopped {count} of {all} senders of {site} for {millis} ms");
    injection.step(&bench.clock, told);
    injection.proof.push(format!("{count} of {all} senders of WAL of {site} are in state T"));
    Ok(())
}
