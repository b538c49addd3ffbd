//! Asks every site's agent how it is, four times a second.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use topology::{SiteId, Spec};

use crate::agents::Agents;
use crate::decide::Fact;

/// How often: two misses are known within a second.
const PERIOD: Duration = Duration::from_millis(250);

/// Probes until stopped. Sites are asked independently: a slow one delays no other.
pub async fn probe(
    spec: &Spec,
    agents: &Agents,
    facts: mpsc::Sender<Fact>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let sites = spec.cells.iter().flat_map(|cell| {
        cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
    });
    let sites: Vec<SiteId> = sites.collect();
    // Spread over the period: thousands of answers at once would each wait for all the others.
    let (first, count) = (Instant::now(), u32::try_from(sites.len()).unwrap_or(u32::MAX));
    let probes = sites.into_iter().zip(0..).map(|(site, number)| {
        let ticks = interval_at(first + PERIOD * number / count, PERIOD);
        again_and_again(site, ticks, agents, &facts)
    });
    tokio::select! {
        _ = join_all(probes) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn again_and_again(
    site: SiteId,
    mut ticks: Interval,
    agents: &Agents,
    facts: &mpsc::Sender<Fact>,
) {
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = match agents.status(&site).await {
            Ok(report) => Some(report),
            Err(err) => {
                tracing::debug!(%site, error = %err, "probe missed");
                None
            }
        };
        if facts.send(Fact::Probed { site: site.clone(), answer }).await.is_err() {
            return;
        }
    }
}
