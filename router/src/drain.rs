//! Ending without losing anybody: connections are counted from the moment they are accepted, and
//! told to end before the process does.
//!
//! ```text
//!  begin ──▶ no new connections; answers say `connection: close`, HTTP/2 says GOAWAY,
//!    │       streams are sent elsewhere
//!  linger ─▶ connections without a request are closed
//!    │
//!  bound ──▶ whatever is still in flight is cut
//! ```

use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::HttpServerApp;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::decide::hold;
use crate::proxy::Proxy;

/// After the longest hold a site may take this long to answer; nothing lasts longer but streams.
const ANSWER_MAX: Duration = Duration::from_secs(7);
/// Each client that keeps its connection gets this long to send one more request on it, and be told
/// to come back on another: closing it at once could cross that request on the way.
const LINGER: Duration = Duration::from_secs(1);

/// How many connections are open, and whether they are to end.
pub(crate) struct Drain {
    begun: watch::Sender<bool>,
    open: watch::Sender<usize>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { begun: watch::channel(false).0, open: watch::channel(0).0 }
    }
}

impl Drain {
    pub(crate) fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Returns what turns true when connections are to end.
    pub(crate) fn watch(&self) -> ShutdownWatch {
        self.begun.subscribe()
    }

    /// Counts a connection for as long as the result lives.
    pub(crate) fn enter(self: &Arc<Self>) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open(Arc::clone(self))
    }

    /// Ends all connections, each as soon as that loses nothing, and at the latest within a bound.
    pub(crate) async fn run(&self, app: &HttpProxy<Proxy>, end_streams: impl FnOnce()) {
        self.begun.send_replace(true);
        info!(connections = *self.open.borrow(), "draining");
        end_streams();
        if self.none_left(LINGER).await {
            info!("drained");
            return;
        }
        app.http_cleanup().await;
        if self.none_left(hold::DEADLINE + ANSWER_MAX).await {
            info!("drained");
        } else {
            warn!(connections = *self.open.borrow(), "requests in flight are cut");
        }
    }

    /// Returns whether all connections ended in time.
    async fn none_left(&self, patience: Duration) -> bool {
        let mut open = self.open.subscribe();
        timeout(patience, open.wait_for(|open| *open == 0)).await.is_ok()
    }
}

/// One open connection.
pub(crate) struct Open(Arc<Drain>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}
