//! The services' way to the site's own PostgreSQL: the pool, transactions that know how strong
//! they are, answers that can be repeated, and the schema.

mod connect;
pub mod failure;
pub mod idempotency;
mod migrate;
pub mod transaction;

use std::time::Duration;

use anyhow::Context as _;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::future::join_all;
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;
use topology::address::Port;

use crate::config::Site;

use connect::Connector;
pub use failure::Failure;
pub use migrate::{is_current, migrate};
pub use transaction::Transaction;

/// Connections per service: twice the cores a cell is given, times the two writes a turn makes.
const CONNECTIONS: usize = 16;
/// How long a request waits for a connection before it is shed.
const WAIT: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(1);
/// Connections that are kept open: what the first paced release of a router asks for at once.
const WARM: usize = 8;
const WARM_PERIOD: Duration = Duration::from_secs(1);

/// Opens the pool. It connects when first asked: the database may not be running yet.
pub fn pool(site: &Site, service: &str) -> anyhow::Result<Pool> {
    let password = site.password_file("service");
    let password = std::fs::read_to_string(&password)
        .with_context(|| format!("read {}", password.display()))?;
    let address = site.address(Port::Postgres);
    let mut config = Config::new();
    config
        .host(address.ip().to_string())
        .port(address.port())
        .dbname("cell")
        .user("service")
        .password(password.trim())
        .application_name(service)
        .connect_timeout(CONNECT)
        .tcp_user_timeout(WAIT);
    pool_of(config)
}

/// Keeps a few connections open while nobody asks, on a standby too: they live through its
/// promotion, and the first requests of the new epoch do not wait for passwords to be checked.
pub async fn keep_warm(pool: Pool, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        // All at once, so that they are different ones. While the database is away there are none.
        drop(join_all((0..WARM).map(|_| pool.get())).await);
        tokio::select! {
            () = tokio::time::sleep(WARM_PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Opens a pool of connections made as `config` says.
pub fn pool_of(config: Config) -> anyhow::Result<Pool> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_connect(config, Connector, recycling))
        .max_size(CONNECTIONS)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .runtime(Runtime::Tokio1)
        .build()
        .context("open the connection pool")
}
