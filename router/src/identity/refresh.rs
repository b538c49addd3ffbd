//! Keeps one issuer's keys as they are where they come from. Never on a request's path.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Identities;
use super::issuer::Issuer;
use crate::decide::refresh::{Place, Reads, due};

/// Reads the keys again and again. The last good ones stay whatever happens.
pub(crate) async fn keep_fresh(
    identities: Arc<Identities>,
    number: usize,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let issuer = &identities.issuers()[number];
    let place = issuer.source.place();
    let mut reads = Reads { place, last: Instant::now(), failures: 0, is_missed: false };
    // Files were read before the start.
    let mut at = if place == Place::Url { reads.last } else { due(&reads) };
    loop {
        tokio::select! {
            () = sleep_until(at) => {}
            () = issuer.missed.notified(), if !reads.is_missed => {
                reads.is_missed = true;
                at = at.min(due(&reads));
                continue;
            }
            () = stop.cancelled() => return Ok(()),
        }
        reads = Reads { last: Instant::now(), is_missed: false, ..reads };
        reads.failures = match read(&identities, issuer).await {
            Ok(()) => {
                if reads.failures > 0 {
                    info!(issuer = issuer.name, "keys are read again");
                }
                0
            }
            Err(err) => {
                if reads.failures == 0 {
                    let error = format!("{err:#}");
                    warn!(issuer = issuer.name, error, "keys not read; the last ones stay");
                }
                reads.failures.saturating_add(1)
            }
        };
        at = due(&reads);
    }
}

async fn read(identities: &Identities, issuer: &Issuer) -> anyhow::Result<()> {
    if let Some(keys) = issuer.source.read(&issuer.algorithms).await? {
        identities.trust(issuer, keys);
    }
    Ok(())
}
