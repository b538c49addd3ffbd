//! Tries everything a user's write needs, for whoever wants to know whether it works: a place in the
//! gateway, the right, a connection, a commit that reaches the disk, and the acknowledgement's gate.
//!
//! No table is touched: what is written is a message in the write-ahead log that nobody reads. Nor
//! does it wait for a voter: whether strong writes come through is told by other means, and a site
//! without voters is not ill.

use std::time::Duration;

use runtime::clock::BootTime;
use tokio::sync::Mutex;
use tokio::time::timeout;
use topology::spec::Durability;
use topology::wire::canary::CanaryReply;
use topology::wire::vantage::DeepOutcome;

use super::Gateway;
use super::decide::admit::{may_acknowledge, may_begin};
use crate::database::{Connections, Failure, Transaction};

const WRITE: &str = "SELECT pg_logical_emit_message(true, 'canary', '')";
const READ: &str = "SELECT pg_is_in_recovery()";

/// Whoever asks waits no longer, and may have vanished without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// One canary at a time, so that however many ask, users lose one connection to them at most.
#[derive(Default)]
pub struct Canary(Mutex<()>);

impl Canary {
    /// Writes where the site serves, and reads where it does not.
    pub async fn sing(&self, gateway: &Gateway) -> CanaryReply {
        let sung = timeout(PATIENCE, self.sing_in_turn(gateway)).await;
        sung.unwrap_or_else(|_late| reply(DeepOutcome::Failed, Some("no end within a second")))
    }

    async fn sing_in_turn(&self, gateway: &Gateway) -> CanaryReply {
        let _turn = self.0.lock().await;
        // Taken before the right is looked at, as requests do it: who drains counts on that.
        let Some(room) = gateway.place() else {
            return reply(DeepOutcome::Overloaded, Some("no room at the gateway"));
        };
        let right = *gateway.right().borrow();
        let serving = right.filter(|right| may_begin(*right, BootTime::now()));
        let Some(right) = serving else {
            // Nobody who drains waits for what is only looked at.
            drop(room);
            return told(run(gateway.connections(), READ).await, DeepOutcome::Read);
        };
        let written = run(gateway.connections(), WRITE).await;
        if written.is_ok()
            && !may_acknowledge(right.epoch, *gateway.right().borrow(), BootTime::now())
        {
            return reply(DeepOutcome::Failed, Some("the right ran out before the answer"));
        }
        told(written, DeepOutcome::Wrote)
    }
}

async fn run(connections: &Connections, sql: &str) -> Result<(), Failure> {
    let transaction = Transaction::begin(connections, Durability::Weak).await?;
    let outcome = transaction.row(sql, &[]).await;
    transaction.end(outcome).await.map(drop)
}

fn told(outcome: Result<(), Failure>, well: DeepOutcome) -> CanaryReply {
    match outcome {
        Ok(()) => reply(well, None),
        Err(Failure::Overloaded) => reply(DeepOutcome::Overloaded, Some("no connection is free")),
        Err(failure) => reply(DeepOutcome::Failed, Some(&failure.to_string())),
    }
}

fn reply(outcome: DeepOutcome, reason: Option<&str>) -> CanaryReply {
    CanaryReply { outcome, reason: reason.map(str::to_owned) }
}
