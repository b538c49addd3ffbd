//! Hears from the sites themselves that they renew their leases, where they are far away: etcd may say so
//! a second or two later when it changes its leader just then.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use topology::wire::agent::Renewal;
use topology::{Epoch, SiteId, Spec};

use super::ask::again_and_again;
use crate::agents::Agents;
use crate::decide::Fact;

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

/// Whoever does not answer is told of by the probes.
async fn hear_one(site: SiteId, agents: &Agents, facts: &mpsc::Sender<Fact>) {
    let next = |after| {
        let (site, agents) = (site.clone(), agents.clone());
        async move {
            let Renewal { epoch, sequence } = agents.renewal(&site, after).await.ok()?;
            Some((sequence, Fact::Renewing { site, epoch: Epoch(epoch), sequence }))
        }
    };
    again_and_again(next, facts).await;
}
