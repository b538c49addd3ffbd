//! Points between two steps at which a test can end this process. In earnest they are nothing.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};

/// A point that was reached, and the word to go on. Dropped, nothing goes on.
pub type Reached = (&'static str, oneshot::Sender<()>);

/// Cheap to clone; says nothing unless a test listens.
#[derive(Clone, Default)]
pub struct Failpoint(Option<mpsc::Sender<Reached>>);

impl Failpoint {
    /// Makes one that stops at each point until the listener lets it go on.
    #[must_use]
    pub fn told(listener: mpsc::Sender<Reached>) -> Self {
        Self(Some(listener))
    }

    pub(crate) async fn reached(&self, point: &'static str) {
        let Some(listener) = &self.0 else { return };
        let (go_on, word) = oneshot::channel();
        if listener.send((point, go_on)).await.is_ok() && word.await.is_err() {
            pending::<()>().await;
        }
    }
}
