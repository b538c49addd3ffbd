//! A piece of work of the keeper, and what it came to.

use std::pin::Pin;

use topology::{Epoch, Place, RegionId};

use crate::agent::decide::role::Role;
use crate::agent::postgres::Position;
use crate::agent::shared::Known;

/// What a piece of work came to.
pub(super) enum Done {
    /// The epoch is open, as this record says; `strong` if its barrier has been passed.
    Opened { known: Box<Known>, strong: bool },
    /// PostgreSQL has written its last checkpoint, which begins there, and the voters are being told.
    Stopped { epoch: Epoch, checkpoint: Position, told: Option<Telling> },
    /// PostgreSQL is being stopped at once, and what it had flushed is with the target.
    Abandoned { epoch: Epoch, flushed: Position },
    /// The server follows under the epoch's name, and is in line with this history.
    Joined { told: (RegionId, Epoch), history: Option<(RegionId, Place)> },
    /// What was handed over before has ended.
    Left,
    /// The server follows as before.
    Following,
    /// Nothing is streamed; this is whether the source is there.
    SourceAsked { answers: bool },
    /// The server has what its source's history went on without.
    Apart,
    /// The data directory was made one that can follow.
    Rebuilt,
    /// The source cannot be compared with yet; nothing was changed.
    NotYet,
    /// What only this site has could not be kept, for this reason; nothing was changed.
    NotKept(String),
}

pub(super) struct Work {
    pub(super) role: Role,
    pub(super) future: Pin<Box<dyn Future<Output = anyhow::Result<Done>> + Send>>,
    /// Whether the data directory is being replaced: no vote can be given meanwhile.
    pub(super) rebuilding: bool,
    /// Whether PostgreSQL is ending after a clean stop: nobody is followed before it has.
    pub(super) leaving: bool,
}

/// What is still being said to the voters.
pub(super) type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Resolves when the piece of work is finished; never while there is none.
pub(super) async fn finish(work: &mut Option<Work>) -> (Work, anyhow::Result<Done>) {
    loop {
        let Some(running) = work else { return std::future::pending().await };
        let result = running.future.as_mut().await;
        if let Some(finished) = work.take() {
            return (finished, result);
        }
    }
}
