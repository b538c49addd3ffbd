//! Hears from the other vantages what they see, past etcd: the region that dies may take etcd's leader
//! along, and then nothing can be written for a second or two.

use std::sync::Arc;

use futures_util::future::join_all;
use runtime::HttpClient;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use topology::wire::vantage::VantageReport;
use topology::{RegionId, Spec};
use tracing::debug;

use super::ask::{AGAIN, again_and_again};
use super::sight::NO_NEWS;
use crate::decide::Fact;

/// Opening a connection, and asking.
const CROSSINGS: u32 = 2;

/// Asks the other vantages for their reports until stopped. One that is gone delays no other.
pub async fn hear(
    spec: Arc<Spec>,
    own: RegionId,
    facts: mpsc::Sender<Fact>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let others = spec.regions.iter().filter(|region| region.id != own);
    let heard = others.map(|region| hear_one(&spec, &region.id, &facts));
    tokio::select! {
        _ = join_all(heard) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn hear_one(spec: &Spec, vantage: &RegionId, facts: &mpsc::Sender<Fact>) {
    let Some(address) = spec.region_address(vantage, Port::ControlPlaneAdmin) else { return };
    let http = HttpClient::default();
    let limit = NO_NEWS + AGAIN + spec.round_trip * CROSSINGS;
    let next = async |after| {
        let url = format!("http://{address}/sight?after={after}");
        match http.get::<VantageReport>(&url, limit).await {
            Ok(report) => Some((report.sequence, Fact::Told { vantage: vantage.clone(), report })),
            Err(err) => {
                debug!(%vantage, error = %err, "vantage not heard");
                None
            }
        }
    };
    again_and_again(next, facts).await;
}
