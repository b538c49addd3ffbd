//! When the router ends, and how: drained first, whoever asked.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use pingora_proxy::HttpProxy;
use runtime::{Board, stop_asked};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::drain::Drain;
use crate::proxy::Proxy;
use crate::table::Table;

/// The condition for being ready that fails while the router drains.
const CONDITION: &str = "taking requests";

/// Why the router ends, for who waits to stop it.
#[derive(Default)]
pub(crate) struct End {
    ended: Notify,
    failure: Mutex<Option<anyhow::Error>>,
    /// A successor serves: what only one of the two may do is its business now.
    pub(crate) replaced: CancellationToken,
}

impl End {
    /// Notes that a part has ended without being asked to. The first failure is the one told.
    pub(crate) fn failed(&self, failure: anyhow::Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.ended.notify_one();
    }

    pub(crate) fn failure(&self) -> Option<anyhow::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Drains and then stops the server when asked to, when replaced, or when a part has ended.
pub(crate) struct Stop {
    pub(crate) end: Arc<End>,
    pub(crate) drain: Arc<Drain>,
    pub(crate) app: Arc<HttpProxy<Proxy>>,
    pub(crate) table: Arc<Table>,
    pub(crate) board: Board,
}

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        tokio::select! {
            () = stop_asked() => info!("stopping: asked to"),
            () = self.end.replaced.cancelled() => info!("stopping: replaced"),
            () = self.end.ended.notified() => error!("stopping: a part has ended"),
        }
        self.board.condition(CONDITION, Err("draining".to_owned()));
        self.drain.run(&self.app, || self.table.end_streams()).await;
        ShutdownSignal::GracefulTerminate
    }
}
