//! Hears from the sites themselves that they renew their leases, where they are far away: etcd may say so
//! a second or two later when it changes its leader just then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use topology::{Epoch, SiteId, Spec};

use crate::agents::Agents;
use crate::decide::Fact;

/// Pause before a site that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Asks every site for its next renewal until stopped: one question is always under way to each. On one
/// machine nobody is asked, as etcd says it as soon.
pub async fn hear(
    spec: Arc<Spec>,
    agents: Agents,
    facts: mpsc::Sender<Fact>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if spec.round_trip.is_zero() {
        stop.cancelled().await;
        return Ok(());
    }
    let sites = spec.cells.iter().flat_map(|cell| {
        cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
    });
    let heard = sites.map(|site| hear_one(site, &agents, &facts));
    tokio::select! {
        _ = join_all(heard) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// Asks one site again and again. Ends when nobody hears of the answers.
async fn hear_one(site: SiteId, agents: &Agents, facts: &mpsc::Sender<Fact>) {
    let mut after = 0;
    loop {
        match agents.renewal(&site, after).await {
            Ok(renewal) if renewal.sequence != after => {
                after = renewal.sequence;
                let (epoch, sequence) = (Epoch(renewal.epoch), renewal.sequence);
                let sending = Fact::Renewing { site: site.clone(), epoch, sequence };
                if facts.send(sending).await.is_err() {
                    return;
                }
            }
            Ok(_none) => {}
            // Whoever does not answer is told of by the probes.
            Err(_missed) => sleep(AGAIN).await,
        }
    }
}
