//! Where strong work waits for an epoch's barrier.
//!
//! A site serves as soon as it has the right to, and is sent its users then. What needs the barrier comes
//! some round trips to the voters too early, and is let in when they have confirmed.

use std::sync::Arc;
use std::time::Duration;

use runtime::Problem;
use tokio::sync::{Semaphore, watch};

use super::caller::Permit;
use super::decide::admit::Right;

/// Waiting at once: what two routers let go first of what they hold, 160 ms there and back. All that wait go on
/// in the same moment, so that there may not be many; who finds no room is told to come back, and does so
/// 100 ms later.
const ROOM: usize = 32;
/// Longer than the agent waits for the barrier before it calls the cell at risk.
const LIMIT: Duration = Duration::from_secs(6);

/// Cheap to clone.
#[derive(Clone)]
pub struct Barrier {
    right: watch::Receiver<Option<Right>>,
    room: Arc<Semaphore>,
}

impl Barrier {
    #[must_use]
    pub fn new(right: watch::Receiver<Option<Right>>) -> Self {
        Self { right, room: Arc::new(Semaphore::new(ROOM)) }
    }

    /// Returns the permit for strong work, once the barrier is passed if it is about to be.
    pub async fn strong(&self, mut permit: Permit) -> Result<Permit, Problem> {
        if permit.is_before_barrier()
            && let Ok(_place) = self.room.try_acquire()
        {
            permit = self.settled(permit).await;
        }
        permit.demand_strong()?;
        Ok(permit)
    }

    /// Waits until the barrier is passed, or nobody says any more that it will be.
    async fn settled(&self, permit: Permit) -> Permit {
        let mut right = self.right.clone();
        let now = |right: &Option<Right>| right.and_then(|right| permit.under(right));
        let settled = right.wait_for(|right| !now(right).is_some_and(Permit::is_before_barrier));
        match tokio::time::timeout(LIMIT, settled).await {
            Ok(Ok(right)) => now(&right).unwrap_or(permit),
            Ok(Err(_)) | Err(_) => permit,
        }
    }
}
