//! Measures the sites that nobody has asked lately, so that an idle router knows which one is near.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use runtime::HttpClient;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Near;

/// Between two probes, of whichever sites: a thousandth of what a site can answer.
const TURN: Duration = Duration::from_millis(100);
/// A site that has not been heard of for so long is due.
const PERIOD: Duration = Duration::from_secs(2);
/// Longer than any region is away.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks for the head of a public path, one site at a time, until stopped. Any answer but a failure
/// tells how far away the site is.
pub(crate) async fn probe(
    near: Arc<Near>,
    path: String,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let http = HttpClient::default();
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let Some((mut probed, gateway)) = near.due(PERIOD) else { continue };
        let asked = tokio::time::timeout(PATIENCE, ask(&near, &http, gateway, &path));
        match stop.run_until_cancelled(asked).await {
            Some(Ok(Ok(()))) => probed.answered(),
            Some(Ok(Err(error))) => {
                debug!(site = %probed.site(), error = format!("{error:#}"), "probe failed");
                probed.failed();
            }
            Some(Err(_late)) => probed.failed(),
            None => return Ok(()),
        }
    }
}

/// Asks a site for the head of a public path. One that wants proof of a router is only connected to:
/// that tells as well how far away it is, and its next read whether it answers.
async fn ask(
    near: &Near,
    http: &HttpClient,
    gateway: SocketAddr,
    path: &str,
) -> anyhow::Result<()> {
    if near.is_guarded() {
        TcpStream::connect(gateway).await?;
        return Ok(());
    }
    let url = format!("http://{gateway}{path}");
    let answer = http.call(Method::HEAD, &url, HeaderMap::new(), "", PATIENCE).await?;
    anyhow::ensure!(!answer.status.is_server_error(), "read: {}", answer.status);
    Ok(())
}
