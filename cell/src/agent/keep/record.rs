//! A change of the voters on its way into the cell's record.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use anyhow::ensure;
use runtime::clock::BootTime;
use tokio::time::Instant;
use topology::{Epoch, RegionId};
use tracing::{info, warn};

use super::{Tools, change};
use crate::agent::shared::Known;

/// Pause after a try that had no answer.
const AGAIN: Duration = Duration::from_millis(250);
const POLL: Duration = Duration::from_millis(20);

/// etcd may keep it waiting for long, and the standbys are looked at meanwhile: what is acknowledged
/// depends on them.
pub(super) type Recording = Pin<Box<dyn Future<Output = anyhow::Result<Recorded>> + Send>>;

pub(super) struct Recorded {
    /// The revision that was to be replaced.
    pub(super) before: u64,
    /// `None` if somebody else has replaced it.
    pub(super) now: Option<Known>,
}

/// Resolves when the change of the voters has an outcome; never while there is none under way.
pub(super) async fn outcome(recording: &mut Option<Recording>) -> anyhow::Result<Recorded> {
    let Some(running) = recording else { return std::future::pending().await };
    let recorded = running.await;
    *recording = None;
    recorded
}

/// Changes the voters in the cell's record. A promise of one that leaves must not be what the right
/// rests on when the record says so, nor what anybody was told that it rests on.
pub(super) async fn record(
    tools: Tools,
    epoch: Epoch,
    known: Known,
    voters: BTreeSet<RegionId>,
) -> anyhow::Result<Recorded> {
    let shared = &tools.shared;
    let told = shared.valid_until();
    shared.standing.send_modify(|standing| {
        if let Some(claim) = &mut standing.claim {
            claim.voters.retain(|region| voters.contains(region));
        }
    });
    let limit = Instant::now() + tools.site.spec.lease.patience;
    while shared.valid_until() < told {
        ensure!(Instant::now() < limit, "renew the right without who leaves");
        tokio::time::sleep(POLL).await;
    }
    ensure!(BootTime::now() < shared.valid_until(), "hold the right");
    let mut next = known.activation().clone();
    next.voters = voters;
    info!(%epoch, voters = ?next.voters, "recording the voters");
    // A write without an answer may still happen, long after the next look.
    loop {
        match change(&tools, &known, next.clone()).await {
            Ok(now) => return Ok(Recorded { before: known.revision, now }),
            Err(err) => {
                warn!(%epoch, error = format!("{err:#}"), "voters not recorded yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
