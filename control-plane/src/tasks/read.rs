//! Reads everything stored: at each hint, and every half second whatever the hints say.
//!
//! Every renewal of every lease is a hint, so that with many cells there is always one: reads are then
//! as far apart as they cost.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::etcd::Heard;
use runtime::{Board, reconcile};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::wire::key;

use crate::decide::Fact;
use crate::metrics;
use crate::store::etcd::Store;

/// A lost hint costs at most this: a quarter of the time a silent lease is borne.
const PERIOD: Duration = Duration::from_millis(500);
/// Reading may take one part in so many of the time: of this process's, of etcd's and of the network's.
const READING: u32 = 5;
/// Whatever a read costs, this is how long it is rested from: what is known may not become too old to
/// decide by.
const REST_MAX: Duration = Duration::from_millis(250);

/// Reads until stopped. etcd being gone is a fact like any other.
pub async fn read(
    store: Store,
    facts: mpsc::Sender<Fact>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (wake, heard) = (Arc::new(Notify::new()), Arc::new(Heard::timing(key::LEASES)));
    let once = || {
        let (store, facts, heard) = (store.clone(), facts.clone(), Arc::clone(&heard));
        async move {
            let begun = Instant::now();
            let reading = store.read(&heard).await;
            let took = begun.elapsed();
            metrics::read(took);
            let Ok(reading) = reading else {
                facts.send(Fact::ReadFailed).await.context("tell that nothing was read")?;
                return reading.map(drop).context("read the store");
            };
            let malformed = reading.malformed.first_key_value();
            let malformed =
                malformed.map(|(key, kept)| format!("understand {key}: {}", kept.value));
            facts.send(Fact::Read(reading)).await.context("tell what was read")?;
            tokio::time::sleep((took * (READING - 1)).min(REST_MAX)).await;
            malformed.map_or(Ok(()), |malformed| Err(anyhow::anyhow!(malformed)))
        }
    };
    tokio::select! {
        () = store.hint(&heard, &wake, &stop) => Ok(()),
        ended = reconcile::reconcile("read the store", &board, &wake, PERIOD, stop.clone(), once) => {
            ended
        }
    }
}
