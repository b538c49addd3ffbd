//! What a cell does wrong on purpose, so that a drill's check is seen to catch it (`make selftest`): nothing,
//! unless it is built for that and told so.

use std::time::Duration;

use anyhow::Context as _;
use deadpool_postgres::Client;
use runtime::clock::BootTime;
use runtime::defect;

use crate::agent::decide::role::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A strong write is answered once its commit has been sent, whatever comes of it.
    AckBeforeCommit,
    /// An `Idempotency-Key` is not remembered.
    NoDeduplication,
    /// An `Idempotency-Key` is remembered where it was written, and by no successor.
    KeysNotReplicated,
    /// A ticket is read from a standby's database, and shown as if it were the active site's.
    StrongReadFromStandby,
    /// A site's right does not run out, and that it was succeeded comes to nothing for a while.
    NoFenceOnThaw,
}

/// Longer than any drill.
const FOR_EVER: Duration = Duration::from_hours(1);
/// Longer than what has waited in a site takes to be answered.
const A_WHILE: Duration = Duration::from_secs(3);
/// No standby has what is in such a table: whoever is promoted begins with an empty one.
const NOT_REPLICATED: &str = "ALTER TABLE idempotency_keys SET UNLOGGED";

impl Defect {
    fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::NoDeduplication => "no-deduplication",
            Self::KeysNotReplicated => "keys-not-replicated",
            Self::StrongReadFromStandby => "strong-read-from-standby",
            Self::NoFenceOnThaw => "no-fence-on-thaw",
        }
    }

    #[inline]
    pub(crate) fn is_on(self) -> bool {
        defect::is_on(self.name())
    }
}

/// Returns until when a site believes to have its right, of one that has begun.
#[inline]
pub(crate) fn until(until: BootTime) -> BootTime {
    if Defect::NoFenceOnThaw.is_on() && until > BootTime::default() {
        return until + FOR_EVER;
    }
    until
}

/// Waits before a site that serves makes way for its successor.
#[inline]
pub(crate) async fn hear_late(is_serving: bool, role: &Role) {
    let is_succeeded = matches!(role, Role::Follow { .. } | Role::StepDown);
    if Defect::NoFenceOnThaw.is_on() && is_serving && is_succeeded {
        tokio::time::sleep(A_WHILE).await;
    }
}

/// Keeps the keys of requests where a failover loses them.
pub(crate) async fn replicate_no_keys(
    cell: impl Future<Output = anyhow::Result<Client>>,
) -> anyhow::Result<()> {
    if Defect::KeysNotReplicated.is_on() {
        cell.await?.batch_execute(NOT_REPLICATED).await.context("replicate no keys")?;
    }
    Ok(())
}
