//! Asks every site's agent how it is, four times a second, and its services to do what users need, once
//! a second.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use topology::{SiteId, Spec};

use crate::agents::Agents;
use crate::decide::Fact;
use crate::decide::state::Deep;

/// How often: two misses are known within a second.
const PERIOD: Duration = Duration::from_millis(250);

/// How often a site does what a user's write needs: rare enough that nobody notices, often enough to
/// see in a few seconds that it does not work.
const DEEP_PERIOD: Duration = Duration::from_secs(1);

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
    let (sites, facts): (Vec<SiteId>, _) = (sites.collect(), &facts);
    // Spread over the period: thousands of answers at once would each wait for all the others.
    let (first, count) = (Instant::now(), u32::try_from(sites.len()).unwrap_or(u32::MAX));
    let ticks = |number, period| interval_at(first + period * number / count, period);
    let probes = sites.into_iter().zip(0..).map(|(site, number)| async move {
        tokio::join!(
            again_and_again(site.clone(), ticks(number, PERIOD), agents, facts),
            deeply(site, ticks(number, DEEP_PERIOD), agents, facts)
        )
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

async fn deeply(site: SiteId, mut ticks: Interval, agents: &Agents, facts: &mpsc::Sender<Fact>) {
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let Some(outcome) = agents.canary(&site).await else { continue };
        let deep = Deep { outcome, took: begun.elapsed() };
        if facts.send(Fact::Tried { site: site.clone(), deep }).await.is_err() {
            return;
        }
    }
}
