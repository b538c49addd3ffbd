//! Hands a site's cell over: nothing new, finish what is in flight, stop cleanly.
//!
//! ```text
//!   drained ──▶ gate closed ──▶ last checkpoint on disk: handed over ──▶ all sent, PostgreSQL ends
//!                   └─▶ the voters hear that it is over
//! ```

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, OptionFuture, select};
use runtime::http_client::CallError;
use serde::Deserialize;
use tokio::time::Instant;
use topology::Epoch;
use topology::address::Port;
use topology::wire::agent::TenureName;
use tracing::info;

use super::abandon::{abandon, has_bad_disk};
use super::claim::close_gate;
use super::work::Telling;
use super::{Done, Tools};
use crate::agent::decide::tenure::Event;
use crate::agent::postgres::Stop;
use crate::agent::right;
use crate::agent::shared::Claim;

/// How long requests in flight may take; what is left then is answered `outcome-unknown` and asked
/// again by the router.
const DRAIN_LIMIT: Duration = Duration::from_millis(300);
/// A fast stop ships everything and writes a checkpoint: 40 to 105 ms were measured.
const STOP_LIMIT: Duration = Duration::from_millis(1500);
const ASK_TIME: Duration = Duration::from_millis(100);
/// A request that leaves its connection alone for so long is not done when draining ends, either.
const IDLE: Duration = DRAIN_LIMIT;
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
    let (drained, (), ()) =
        tokio::join!(drain(&tools), tools.postgres.stop_archiving(), end_idle(&tools));
    info!(%epoch, drained, "draining ended");
    if has_bad_disk(&tools) {
        return abandon(&tools, epoch).await;
    }
    // Nothing is in flight and nothing comes in: the voters may hear that it is over while PostgreSQL stops.
    let claim = if drained { close_gate(&tools.shared, Event::Drained) } else { None };
    let teller = tools.clone();
    let telling: Telling = Box::pin(async move {
        if let Some(claim) = claim {
            let_go(&teller, claim).await;
        }
    });
    let stopping = pin!(tools.postgres.last_checkpoint(STOP_LIMIT));
    let (checkpoint, told) = match select(stopping, telling).await {
        Either::Left((Ok(checkpoint), told)) => (checkpoint, Some(told)),
        Either::Left((Err(err), told)) => {
            told.await;
            return Err(err);
        }
        Either::Right(((), stopping)) => (stopping.await?, None),
    };
    Ok(Done::Stopped { epoch, checkpoint, told })
}

/// Ends what the services have open and do not use: over distances some sixty connections, for which a stop
/// would wait 0.1 s. Whoever takes one up just now is asked again elsewhere, as after the stop itself.
async fn end_idle(tools: &Tools) {
    match tokio::time::timeout(ASK_TIME, tools.postgres.sql.end_idle(IDLE)).await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => info!(error = format!("{err:#}"), "idle connections end with PostgreSQL"),
        Err(_elapsed) => info!("idle connections end with PostgreSQL: it does not answer"),
    }
}

/// Tells the voters that their promises are not needed any more: the gate is closed, though PostgreSQL may run.
async fn let_go(tools: &Tools, claim: Claim) {
    right::release(&tools.site, &tools.http, &claim).await;
}

/// Waits until all has been sent that the target is checked against, and PostgreSQL has ended.
pub(super) async fn end(
    tools: Tools,
    told: Option<Telling>,
    claim: Option<Claim>,
) -> anyhow::Result<Done> {
    let releasing = claim.map(|claim| let_go(&tools, claim));
    let ending = tools.postgres.end(Stop::Fast, STOP_LIMIT);
    tokio::join!(ending, OptionFuture::from(told), OptionFuture::from(releasing));
    tools.postgres.unmark_primary()?;
    Ok(Done::Left)
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
