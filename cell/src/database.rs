//! The services' way to the site's own PostgreSQL: the pool, transactions that know how strong
//! they are, answers that can be repeated, and the schema.

pub mod age;
mod connect;
pub mod failure;
pub mod idempotency;
mod migrate;
mod places;
pub mod transaction;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio::sync::Semaphore;
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use topology::spec::Durability;
use tracing::debug;

use crate::config::Site;

use connect::Connector;
pub use failure::Failure;
pub use migrate::{is_current, migrate};
use places::Places;
pub use transaction::Transaction;

/// How long a request waits for a connection before it is shed.
const WAIT: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(1);
/// How long a statement waits for a row that another transaction holds: less than the statement may
/// take, so that the server gives up first and the connection stays usable.
const LOCK: Duration = Duration::from_millis(2_500);
/// Connections that are kept open on one machine, which other sites need as well: what the first paced
/// release of a router asks for at once. Over distances, where more is held, it is all there may be.
const WARM: usize = 8;
const WARM_PERIOD: Duration = Duration::from_secs(1);
/// Between two that are opened: a site whose database has just started, as the old one of a planned move, takes
/// no more of the machine than it must, because users who waited are let go elsewhere on it. Two services that
/// open sixty in a second and a half take a core, and answers three times as long. Over distances all are open
/// again after some eight seconds; who comes earlier opens what is missing.
const WARM_PAUSE: Duration = Duration::from_millis(250);

/// Opening one takes a core some 20 ms. While one is opened the idle ones are held: requests wait no longer for that.
const WARM_CREATE: Duration = Duration::from_millis(250);

/// Where requests have taken all there may be, nobody waits in their queue to warm one more.
const AT_ONCE: Timeouts =
    Timeouts { wait: Some(Duration::ZERO), create: Some(WARM_CREATE), recycle: Some(WAIT) };

/// A service's connections to its site's PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    pool: Pool,
    /// A place for each strong transaction, kept until PostgreSQL has done with it.
    strong: Arc<Semaphore>,
    places: Places,
    /// How many are kept open while nobody asks.
    warm: usize,
}

impl Connections {
    /// Returns how many there are at most.
    pub(crate) fn most(&self) -> usize {
        self.places.connections
    }
}

/// Opens the connections of a service that writes so mostly. It connects when first asked: the database
/// may not be running yet.
pub fn connections(site: &Site, service: &str, writes: Durability) -> anyhow::Result<Connections> {
    connections_to(site, (service, writes), site.address(Port::Postgres))
}

/// Opens connections to the database of another site of the cell, which is a standby while this one is
/// active: for a site that is made to do wrong.
pub(crate) fn connections_elsewhere(site: &Site, service: &str) -> anyhow::Result<Connections> {
    let cell = site.spec.cell(&site.id.cell).context("find the cell")?;
    let elsewhere = cell.regions().find(|region| **region != site.id.region);
    let elsewhere = elsewhere.context("find another site of the cell")?;
    let address = site.peer_address(elsewhere, Port::Postgres);
    connections_to(site, (service, Durability::Strong), address)
}

fn connections_to(
    site: &Site,
    (service, writes): (&str, Durability),
    address: SocketAddr,
) -> anyhow::Result<Connections> {
    let password = site.password_file("service");
    let password = std::fs::read_to_string(&password)
        .with_context(|| format!("read {}", password.display()))?;
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
    let waits = match writes {
        Durability::Strong => site.spec.round_trip,
        Durability::Weak => Duration::ZERO,
    };
    let mut connections = connections_of(config, waits)?;
    if !site.spec.round_trip.is_zero() {
        connections.warm = connections.most();
    }
    Ok(connections)
}

/// Keeps a few connections open while nobody asks, on a standby too: they live through its
/// promotion, and the first requests of the new epoch do not wait for passwords to be checked.
pub async fn keep_warm(connections: Connections, stop: CancellationToken) -> anyhow::Result<()> {
    let warm = async {
        loop {
            let pause = match open_another(&connections).await {
                Some(opened) => {
                    warm_up(&opened).await;
                    WARM_PAUSE
                }
                None => WARM_PERIOD,
            };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = warm => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// Opens one that is kept open; none where there are enough, and while the database is away.
async fn open_another(connections: &Connections) -> Option<Object> {
    // Held at once, so that they are different ones, and only for as long as opening one takes.
    let mut held = Vec::new();
    while held.len() < connections.warm {
        let connection = connections.pool.timeout_get(&AT_ONCE).await.ok()?;
        if Object::metrics(&connection).recycled.is_none() {
            return Some(connection);
        }
        held.push(connection);
    }
    None
}

/// Has a new connection look every table up, which its first query would do otherwise.
async fn warm_up(connection: &Object) {
    let every_table =
        "SELECT string_agg(format('(SELECT FROM %I WHERE false)', relname), ' UNION ALL ')
        FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND has_table_privilege(oid, 'SELECT')";
    let look = async {
        let query: Option<String> = connection.query_one(every_table, &[]).await?.get(0);
        connection.batch_execute(query.as_deref().unwrap_or_default()).await
    };
    // There may be no schema yet, or a server that stands still. Who asks next is only slower.
    match tokio::time::timeout(WAIT, look).await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => debug!(error = %err, "tables not looked up"),
        Err(_elapsed) => debug!("tables not looked up in time"),
    }
}

/// Opens connections made as `config` says, for writes that mostly wait for voters so long at most.
pub fn connections_of(mut config: Config, waits: Duration) -> anyhow::Result<Connections> {
    let places = Places::over(waits);
    // Ends the wait for a row that a commit without a standby holds. It never ends the wait for the
    // standby itself: nothing does that without calling the commit a success.
    config.options(format!("-c lock_timeout={}", LOCK.as_millis()));
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let pool = Pool::builder(Manager::from_connect(config, Connector, recycling))
        .max_size(places.connections)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .runtime(Runtime::Tokio1)
        .build()
        .context("open the connection pool")?;
    Ok(Connections { pool, strong: Arc::new(Semaphore::new(places.strong)), places, warm: WARM })
}
