//! Reads everything stored: at each hint, and every half second whatever the hints say.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Board, reconcile};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::decide::Fact;
use crate::store::etcd::Store;

/// A lost hint costs at most this: a quarter of the time a silent lease is borne.
const PERIOD: Duration = Duration::from_millis(500);

/// Reads until stopped. etcd being gone is a fact like any other.
pub async fn read(
    store: Store,
    facts: mpsc::Sender<Fact>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let wake = Arc::new(Notify::new());
    let once = || {
        let (store, facts) = (store.clone(), facts.clone());
        async move {
            let reading = store.read().await;
            let fact =
                reading.as_ref().map_or(Fact::ReadFailed, |reading| Fact::Read(reading.clone()));
            facts.send(fact).await.context("tell what was read")?;
            let malformed = reading.context("read the store")?.malformed;
            match malformed.first_key_value() {
                None => Ok(()),
                Some((key, kept)) => anyhow::bail!("understand {key}: {}", kept.value),
            }
        }
    };
    tokio::select! {
        () = store.hint(&wake, &stop) => Ok(()),
        ended = reconcile::reconcile("read the store", &board, &wake, PERIOD, stop.clone(), once) => {
            ended
        }
    }
}
