//! Proof that nobody listens any more.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const CONNECT: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until every address refuses connections.
pub(super) async fn all_refuse(addresses: &[SocketAddr], within: Duration) -> anyhow::Result<()> {
    let due = Instant::now() + within;
    for address in addresses {
        loop {
            let attempt = timeout(CONNECT, TcpStream::connect(address)).await;
            if let Ok(Err(err)) = &attempt
                && err.kind() == ErrorKind::ConnectionRefused
            {
                break;
            }
            if Instant::now() >= due {
                let answer = attempt.context("wait for a refusal: silence")?;
                bail!("see {address} refuse: {answer:?}");
            }
            sleep(PAUSE).await;
        }
    }
    Ok(())
}
