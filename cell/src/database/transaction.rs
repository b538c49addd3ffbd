//! One transaction: how strong it is, how long it may take, and what is known when it fails.
//!
//! No cancel is ever sent: cancelling a commit that waits for a standby makes PostgreSQL report
//! success for what no standby has. A commit that takes too long is answered as unknown, and its
//! connection leaves the pool with whatever is still going on in it.

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use topology::spec::Durability;

use super::Failure;

/// How long one statement may take: far more than any of ours needs, less than a client waits.
const STATEMENT: Duration = Duration::from_secs(3);
/// How long a commit may take before its outcome is called unknown: a strong one waits for a
/// standby in another region, which may be failing over to another primary.
const COMMIT: Duration = Duration::from_secs(5);

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A transaction on a connection of its own. Dropped without an end, it takes its connection out
/// of the pool, and PostgreSQL rolls back.
pub struct Transaction {
    connection: Option<Object>,
}

impl Transaction {
    pub async fn begin(pool: &Pool, durability: Durability) -> Result<Self, Failure> {
        let connection = pool.get().await.map_err(|err| match err {
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => Failure::Overloaded,
            PoolError::Timeout(_) => Failure::Unreachable("connect in time".to_owned()),
            PoolError::Backend(err) => Failure::Unreachable(err.to_string()),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Failure::Broken(err.into())
            }
        })?;
        let transaction = Self { connection: Some(connection) };
        let begin = match durability {
            Durability::Weak => "BEGIN; SET LOCAL synchronous_commit = local",
            Durability::Strong => "BEGIN; SET LOCAL synchronous_commit = on",
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
        let strengthen = self.client().batch_execute("SET LOCAL synchronous_commit = on");
        self.bounded(strengthen).await
    }

    /// Commits what succeeded and rolls back what did not.
    pub async fn end<T>(mut self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match outcome {
            Ok(value) => {
                let commit = self.client().batch_execute("COMMIT");
                match tokio::time::timeout(COMMIT, commit).await {
                    Ok(Ok(())) => {
                        self.give_back();
                        Ok(value)
                    }
                    Ok(Err(err)) => Err(Failure::of_commit(err)),
                    Err(_elapsed) => Err(Failure::Unknown),
                }
            }
            Err(failure) => {
                let rollback = self.client().batch_execute("ROLLBACK");
                if let Ok(Ok(())) = tokio::time::timeout(STATEMENT, rollback).await {
                    self.give_back();
                }
                Err(failure)
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
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}
