//! What people ask for, carried out to its end: whoever asked may have gone away, and what was begun
//! and written into the audit log goes on.

use std::pin::Pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Something to be carried out.
pub type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs until stopped; each deed has bounds of its own.
pub async fn carry_out(
    mut asked: mpsc::Receiver<Deed>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut going_on = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(deed) = asked.recv() => going_on.push(deed),
            Some(()) = going_on.next() => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
