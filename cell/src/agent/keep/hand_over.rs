//! Hands a site's cell over: nothing new, finish what is in flight, stop cleanly.

use std::time::Duration;

use anyhow::Context as _;
use runtime::http_client::CallError;
use serde::Deserialize;
use tokio::time::Instant;
use topology::Epoch;
use topology::address::Port;
use topology::wire::agent::TenureName;
use tracing::info;

use super::abandon::{abandon, has_bad_disk};
use super::{Done, Tools};
use crate::agent::postgres::Stop;

/// How long requests in flight may take; what is left then is answered `outcome-unknown` and asked
/// again by the router.
const DRAIN_LIMIT: Duration = Duration::from_millis(300);
/// A fast stop ships everything and writes a checkpoint: 40 to 105 ms were measured.
const STOP_LIMIT: Duration = Duration::from_millis(1500);
const ASK_TIME: Duration = Duration::from_millis(100);
pub(super) const POLL: Duration = Duration::from_millis(5);

/// What the gateway says of itself.
#[derive(Deserialize)]
pub(super) struct InFlight {
    in_flight: u64,
    /// Missing until it has heard of any.
    pub(super) tenure: Option<TenureName>,
}

pub(super) async fn hand_over(tools: Tools, epoch: Epoch) -> anyhow::Result<Done> {
    // Takes its time beside the requests in flight, instead of after them.
    let (drained, ()) = tokio::join!(drain(&tools), tools.postgres.stop_archiving());
    info!(%epoch, drained, "draining ended");
    if has_bad_disk(&tools) {
        return abandon(&tools, epoch).await;
    }
    tools.postgres.stop(Stop::Fast, STOP_LIMIT).await?;
    let checkpoint = tools.postgres.clean_end().await?.context("stop PostgreSQL cleanly")?;
    // Its walsenders have shipped everything; the target is checked against this checkpoint.
    tools.postgres.unmark_primary()?;
    Ok(Done::Stopped { epoch, checkpoint })
}

/// Waits until the gateway has heard that nothing new may come in, and nothing is in flight.
async fn drain(tools: &Tools) -> bool {
    let deadline = Instant::now() + DRAIN_LIMIT;
    while Instant::now() < deadline {
        match in_flight(tools).await {
            // It cannot be waited for; a clean stop ships what has been committed.
            Ok(InFlight { in_flight: 0, tenure: Some(TenureName::Draining) })
            | Err(CallError::Connect { .. }) => return true,
            Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
    false
}

pub(super) async fn in_flight(tools: &Tools) -> Result<InFlight, CallError> {
    let url = format!("http://{}/v1/in-flight", tools.site.address(Port::SessionAdmin));
    tools.http.get(&url, ASK_TIME).await
}
