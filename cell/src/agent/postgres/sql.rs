//! What the agent asks its own server in SQL, as `postgres`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;
use topology::Epoch;

use crate::agent::decide::flush::Counted;

/// The agent asks one thing at a time, next to a barrier that may wait.
const CONNECTIONS: usize = 4;
/// The server is on this machine: what takes longer than this will not come. Making a database on a
/// busy disk is the slowest of it.
const WAIT: Duration = Duration::from_secs(5);
/// A connection takes some 10 ms; the report that opens it ahead is due every second.
const READY: Duration = Duration::from_millis(200);

pub(crate) struct Sql {
    address: SocketAddr,
    password: String,
    /// Replaced when the server stops: its connections are of no use afterwards.
    pools: RwLock<Pools>,
}

/// What a primary says of its standbys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replication {
    /// `synchronous_standby_names`, as the postmaster has taken it over.
    pub(crate) names: String,
    pub(crate) flushed: u64,
    /// By name.
    pub(crate) standbys: BTreeMap<String, Streaming>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Streaming {
    /// Whether its flush is taken for a strong commit.
    pub(crate) counted: bool,
    pub(crate) flushed: u64,
}

#[derive(Clone)]
struct Pools {
    /// The maintenance database, there from the first moment.
    postgres: Arc<Pool>,
    /// The cell's own.
    cell: Arc<Pool>,
}

impl Sql {
    pub(super) fn open(address: SocketAddr, password: &str) -> anyhow::Result<Self> {
        let pools = Pools::open(address, password)?;
        Ok(Self { address, password: password.to_owned(), pools: RwLock::new(pools) })
    }

    /// Drops every connection.
    pub(super) fn forget(&self) {
        // Opening a pool connects to nothing and failed never before with these values.
        if let Ok(pools) = Pools::open(self.address, &self.password) {
            *self.pools.write().unwrap_or_else(PoisonError::into_inner) = pools;
        }
    }

    fn pools(&self) -> Pools {
        self.pools.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a connection to the cell's own database.
    pub(crate) async fn cell(&self) -> anyhow::Result<deadpool_postgres::Client> {
        self.pools().cell.get().await.context("connect to the cell's database")
    }

    async fn postgres(&self) -> anyhow::Result<deadpool_postgres::Client> {
        self.pools().postgres.get().await.context("connect to PostgreSQL")
    }

    /// Opens the connection that a promotion asks for first, if there is none: checking a password
    /// takes longer than the question.
    pub(crate) async fn keep_ready(&self) {
        // Before the cell's first start there is no such database; a server that stands still has no
        // time for this, and who asks has no time for the server.
        drop(tokio::time::timeout(READY, self.cell()).await);
    }

    /// Returns whether the server takes connections.
    pub(crate) async fn answers(&self) -> bool {
        self.execute("SELECT 1").await.is_ok()
    }

    /// Runs statements that return nothing of interest.
    pub(crate) async fn execute(&self, statements: &str) -> anyhow::Result<()> {
        let query = async {
            let client = self.postgres().await?;
            client.batch_execute(statements).await.context("ask PostgreSQL")
        };
        tokio::time::timeout(WAIT, query).await.context("wait for PostgreSQL")?
    }

    /// Ends the services' connections that nobody has used for so long.
    pub(crate) async fn end_idle(&self, unused: Duration) -> anyhow::Result<()> {
        self.execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND usename = 'service' AND state = 'idle'
                AND state_change < now() - interval '{} ms'",
            unused.as_millis()
        ))
        .await
    }

    /// Asks for one row of one value.
    pub(super) async fn one<T>(&self, query: &str) -> anyhow::Result<T>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let ask = async {
            let client = self.postgres().await?;
            let row = client.query_one(query, &[]).await.context("ask PostgreSQL")?;
            row.try_get(0).context("read PostgreSQL's answer")
        };
        tokio::time::timeout(WAIT, ask).await.context("wait for PostgreSQL")?
    }

    pub(crate) async fn is_standby(&self) -> anyhow::Result<bool> {
        self.one("SELECT pg_is_in_recovery()").await
    }

    pub(crate) async fn system(&self) -> anyhow::Result<u64> {
        let system: i64 = self.one("SELECT system_identifier FROM pg_control_system()").await?;
        Ok(system.cast_unsigned())
    }

    /// Returns the latest epoch opened on this database, and where; `None` before the first.
    pub(crate) async fn newest_epoch(&self) -> anyhow::Result<Option<(Epoch, String)>> {
        let ask = async {
            let client = self.cell().await?;
            let newest = "SELECT epoch, region FROM cell_epoch ORDER BY epoch DESC LIMIT 1";
            let row = client.query_opt(newest, &[]).await.context("ask for the latest epoch")?;
            row.map(|row| {
                let epoch: i64 = row.try_get(0).context("read the latest epoch")?;
                let region = row.try_get(1).context("read the latest epoch's region")?;
                Ok((Epoch(epoch.cast_unsigned()), region))
            })
            .transpose()
        };
        tokio::time::timeout(WAIT, ask).await.context("wait for PostgreSQL")?
    }

    /// Returns what strong commits wait for, where the WAL ends, and who streams.
    pub(crate) async fn replication(&self) -> anyhow::Result<Replication> {
        let ask = async {
            let client = self.postgres().await?;
            let look = "SELECT current_setting('synchronous_standby_names'),
                    (pg_current_wal_flush_lsn() - '0/0')::bigint,
                    application_name, sync_state <> 'async',
                    (coalesce(flush_lsn, '0/0') - '0/0')::bigint
                FROM (SELECT) one LEFT JOIN pg_stat_replication ON state = 'streaming'";
            let rows = client.query(look, &[]).await.context("look at the standbys")?;
            let mut seen = Replication::default();
            for row in rows {
                seen.names = row.try_get(0).context("read the names")?;
                seen.flushed = position(&row, 1)?;
                let Some(name) = row.try_get(2).context("read a standby's name")? else { continue };
                let standby = Streaming {
                    counted: row.try_get(3).context("read a standby's state")?,
                    flushed: position(&row, 4)?,
                };
                seen.standbys.insert(name, standby);
            }
            Ok(seen)
        };
        tokio::time::timeout(WAIT, ask).await.context("wait for PostgreSQL")?
    }

    /// Returns how often, and for how long altogether, the log was flushed to disk.
    pub(crate) async fn flushes(&self) -> anyhow::Result<Counted> {
        let ask = async {
            let client = self.postgres().await?;
            let look = "SELECT wal_sync, wal_sync_time FROM pg_stat_wal";
            let row = client.query_one(look, &[]).await.context("ask for the flushes")?;
            Ok(Counted { flushes: position(&row, 0)?, took: milliseconds(&row, 1)? })
        };
        tokio::time::timeout(WAIT, ask).await.context("wait for PostgreSQL")?
    }

    /// Returns whether a standby receives WAL right now.
    pub(crate) async fn is_streaming(&self) -> anyhow::Result<bool> {
        self.one("SELECT EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming')")
            .await
    }

    /// Returns how far each standby that streams under a name ending in `suffix` is behind.
    pub(crate) async fn lags(&self, suffix: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let ask = async {
            let client = self.postgres().await?;
            let rows = client
                .query(
                    // One that has only just connected has not said yet how far it is.
                    "SELECT application_name,
                            greatest(pg_current_wal_lsn() - flush_lsn, 0)::bigint
                       FROM pg_stat_replication
                      WHERE state = 'streaming' AND flush_lsn IS NOT NULL",
                    &[],
                )
                .await
                .context("ask for the standbys")?;
            let mut lags = BTreeMap::new();
            for row in rows {
                let name: String = row.try_get(0).context("read a standby's name")?;
                let lag: i64 = row.try_get(1).context("read a standby's lag")?;
                if let Some(name) = name.strip_suffix(suffix) {
                    lags.insert(name.to_owned(), u64::try_from(lag).unwrap_or(0));
                }
            }
            Ok(lags)
        };
        tokio::time::timeout(WAIT, ask).await.context("wait for PostgreSQL")?
    }
}

fn milliseconds(row: &tokio_postgres::Row, column: usize) -> anyhow::Result<Duration> {
    let milliseconds: f64 = row.try_get(column).context("read a time")?;
    Duration::try_from_secs_f64(milliseconds / 1000.0).context("read a time")
}

fn position(row: &tokio_postgres::Row, column: usize) -> anyhow::Result<u64> {
    let position: i64 = row.try_get(column).context("read a position")?;
    Ok(u64::try_from(position).unwrap_or(0))
}

impl Pools {
    fn open(address: SocketAddr, password: &str) -> anyhow::Result<Self> {
        Ok(Self {
            postgres: Arc::new(pool(address, password, "postgres")?),
            cell: Arc::new(pool(address, password, "cell")?),
        })
    }
}

fn pool(address: SocketAddr, password: &str, database: &str) -> anyhow::Result<Pool> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(address.ip().to_string())
        .port(address.port())
        .dbname(database)
        .user("postgres")
        .password(password)
        .application_name("agent")
        .connect_timeout(WAIT);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config, NoTls, recycling))
        .max_size(CONNECTIONS)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .runtime(Runtime::Tokio1)
        .build()
        .context("open the agent's connections")
}
