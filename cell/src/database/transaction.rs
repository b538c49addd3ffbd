//! One transaction: how strong it is, how long it may take, and what is known when it fails.
//!
//! No cancel is ever sent: cancelling a commit that waits for a standby makes PostgreSQL report
//! success for what no standby has. A commit that takes too long is answered as unknown; its
//! connection leaves the pool, stays open until PostgreSQL has done with it, and takes up a place
//! among the strong ones until then. So there are never more waiting commits than places.
//!
//! A weak transaction that has to be as safe as a strong one for a while, because the voters lag,
//! commits first and waits for them afterwards: nobody waits for its rows meanwhile, and where the
//! voters go away altogether, a repetition finds it done.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object, PoolError};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use topology::spec::Durability;
use tracing::debug;

use super::{Connections, Failure};
use crate::defect::Defect;

/// How long one statement may take: far more than any of ours needs, less than a client waits.
const STATEMENT: Duration = Duration::from_secs(3);
/// How long a commit may take before its outcome is called unknown: a strong one waits for a
/// standby in another region, which may be failing over to another primary.
const COMMIT: Duration = Duration::from_secs(5);
/// Returns when enough voters have flushed everything before it: a commit that has written nothing
/// into the log would not wait.
const WAIT_FOR_VOTERS: &str = "BEGIN; SET LOCAL synchronous_commit = on;
    SELECT pg_logical_emit_message(true, 'weak', ''); COMMIT";

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A transaction on a connection of its own. Dropped without an end, it takes its connection out
/// of the pool, and PostgreSQL rolls back what was not being committed.
pub struct Transaction {
    connection: Option<Object>,
    places: Arc<Semaphore>,
    /// Transactions that wait for a standby have one.
    place: Option<OwnedSemaphorePermit>,
    wait: Wait,
}

/// When a transaction waits for the standbys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Never,
    AtCommit,
    /// Once it is committed, before it is answered.
    Afterwards,
}

impl Transaction {
    pub async fn begin(connections: &Connections, durability: Durability) -> Result<Self, Failure> {
        match durability {
            Durability::Weak => Self::open(connections, Wait::Never).await,
            Durability::Strong => Self::open(connections, Wait::AtCommit).await,
        }
    }

    /// Begins a transaction that is answered only when the standbys have it, however weak it is.
    pub async fn begin_held(
        connections: &Connections,
        durability: Durability,
    ) -> Result<Self, Failure> {
        match durability {
            Durability::Weak => Self::open(connections, Wait::Afterwards).await,
            Durability::Strong => Self::open(connections, Wait::AtCommit).await,
        }
    }

    async fn open(connections: &Connections, wait: Wait) -> Result<Self, Failure> {
        let places = Arc::clone(&connections.strong);
        let place = match wait {
            Wait::Never => None,
            Wait::AtCommit | Wait::Afterwards => {
                let place = Arc::clone(&places).acquire_owned();
                let place = tokio::time::timeout(connections.places.patience, place).await;
                Some(place.ok().and_then(Result::ok).ok_or(Failure::Overloaded)?)
            }
        };
        let connection = connections.pool.get().await.map_err(|err| match err {
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => Failure::Overloaded,
            PoolError::Timeout(_) => Failure::Unreachable("connect in time".to_owned()),
            PoolError::Backend(err) => Failure::Unreachable(err.to_string()),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Failure::Broken(err.into())
            }
        })?;
        let transaction = Self { connection: Some(connection), places, place, wait };
        let begin = match wait {
            Wait::Never | Wait::Afterwards => "BEGIN; SET LOCAL synchronous_commit = local",
            Wait::AtCommit => "BEGIN; SET LOCAL synchronous_commit = on",
        };
        transaction.bounded(transaction.client().batch_execute(begin)).await?;
        Ok(transaction)
    }

    pub async fn rows(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Failure> {
        self.bounded(async {
            let statement = self.client().prepare_cached(sql).await?;
            self.client().query(&statement, parameters).await
        })
        .await
    }

    pub async fn row(&self, sql: &str, parameters: Parameters<'_>) -> Result<Option<Row>, Failure> {
        self.bounded(async {
            let statement = self.client().prepare_cached(sql).await?;
            self.client().query_opt(&statement, parameters).await
        })
        .await
    }

    /// Returns how many rows it changed.
    pub async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, Failure> {
        self.bounded(async {
            let statement = self.client().prepare_cached(sql).await?;
            self.client().execute(&statement, parameters).await
        })
        .await
    }

    /// Makes the whole transaction wait for a standby when it commits.
    pub async fn strengthen(&mut self) -> Result<(), Failure> {
        if self.place.is_none() {
            // Without waiting: this transaction holds rows and a connection that others want.
            let place = Arc::clone(&self.places).try_acquire_owned();
            self.place = Some(place.map_err(|_full| Failure::Overloaded)?);
        }
        self.wait = Wait::AtCommit;
        let strengthen = self.client().batch_execute("SET LOCAL synchronous_commit = on");
        self.bounded(strengthen).await
    }

    /// Makes the answer to a repetition wait for as many standbys as the first answer had to.
    ///
    /// What a repetition finds may be on this site alone: the first commit's wait may have been cut
    /// short, which leaves the row visible here. This transaction writes nothing of its own, and
    /// PostgreSQL lets such a commit pass at once; so it writes a message into the log, behind
    /// whatever it has found, and its commit waits for both. In a weak transaction nothing is
    /// needed: what is visible here is on this site's disk, which is all that was promised.
    pub async fn confirm(&self) -> Result<(), Failure> {
        if self.place.is_none() {
            return Ok(());
        }
        self.execute("SELECT pg_logical_emit_message(true, 'replay', '')", &[]).await?;
        Ok(())
    }

    /// Commits what succeeded and rolls back what did not.
    pub async fn end<T>(mut self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match outcome {
            Ok(value) if self.wait == Wait::AtCommit && Defect::AckBeforeCommit.is_on() => {
                drop(self.commit().now_or_never());
                Ok(value)
            }
            Ok(value) => match tokio::time::timeout(COMMIT, self.commit()).await {
                Ok(Ok(())) => {
                    self.give_back();
                    Ok(value)
                }
                Ok(Err(failure)) => Err(failure),
                Err(_elapsed) => Err(Failure::Unknown),
            },
            Err(failure) => {
                let rollback = self.client().batch_execute("ROLLBACK");
                if let Ok(Ok(())) = tokio::time::timeout(STATEMENT, rollback).await {
                    self.give_back();
                }
                Err(failure)
            }
        }
    }

    async fn commit(&self) -> Result<(), Failure> {
        self.client().batch_execute("COMMIT").await.map_err(Failure::of_commit)?;
        match self.wait {
            Wait::Never | Wait::AtCommit => Ok(()),
            Wait::Afterwards => {
                let waited = self.client().batch_execute(WAIT_FOR_VOTERS).await;
                waited.map_err(|err| {
                    debug!(error = %err, "weak commit not seen through to the voters");
                    Failure::Unknown
                })
            }
        }
    }

    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(STATEMENT, work).await {
            Ok(result) => result.map_err(Failure::of_statement),
            Err(_elapsed) => Err(Failure::Overloaded),
        }
    }

    fn client(&self) -> &Object {
        self.connection.as_ref().expect("the connection is given back at the end only")
    }

    fn give_back(&mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let connection = Object::take(connection);
        // Without a runtime the process is ending, and the connection with it.
        if let (Some(place), Ok(runtime)) = (self.place.take(), Handle::try_current()) {
            // Outlives whoever gave up, which no task of theirs can; at most one per place.
            runtime.spawn(see_through(connection, place));
        }
    }
}

/// Keeps a given-up connection, and its place, until PostgreSQL has done with what it was told. Ends
/// with the connection at the latest.
async fn see_through(connection: ClientWrapper, _place: OwnedSemaphorePermit) {
    // Answered after everything that was said before.
    if let Err(err) = connection.batch_execute("").await {
        debug!(error = %err, "given-up connection lost");
    }
}
