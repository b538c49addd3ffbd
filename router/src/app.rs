//! Builds the router: the one file that knows every part.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow};
use client::Etcd;
use client::follow::Follower;
use pingora_core::listeners::TcpSocketOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use runtime::{Board, telemetry};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use topology::CellId;
use tracing::{info, warn};

use crate::config::Config;
use crate::hold::Holder;
use crate::loops::{End, Loops, Parts, Stop, adopt};
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::room::Room;
use crate::table::Table;

/// Seconds that requests in flight are given when the router is asked to stop …
const GRACE_SECONDS: u64 = 1;
/// … and then the runtimes, to end what they do.
const END_SECONDS: u64 = 1;
/// Idle connections kept to all sites together; a site at full load uses some hundred.
const POOL: usize = 1024;
/// More tries than back-offs of 20 to 250 ms fit into a hold: time is what bounds them.
const TRIES_MAX: usize = 1000;
/// 4,000 held requests, as many served, a connection to a site for each, and its handle.
const FILES: u64 = 32_768;

/// Runs the router until it is asked to stop.
pub fn run() -> anyhow::Result<()> {
    let config = Config::read().context("read the configuration")?;
    let _telemetry = telemetry::start("bulkhead-router", &config.name, None)?;
    runtime::admin::build_info("router", env!("CARGO_PKG_VERSION"))?;
    raise_file_limit()?;
    let admin = TcpListener::bind(config.admin)
        .with_context(|| format!("listen on {}; is another process using it", config.admin))?;
    check_free(config.listen)?;
    warn!("the development issuer is trusted: whoever has its key is any user; not for production");

    let cells: Vec<CellId> = config.spec.cells.iter().map(|cell| cell.id.clone()).collect();
    let metrics = Arc::new(Metrics::register(&cells).context("register metrics")?);
    let etcd = Etcd::connect(config.spec.etcd_endpoints(None));
    let follower = Follower::open(etcd.clone(), config.snapshots).context("read kept snapshots")?;
    let (table, board) = (Arc::new(Table::default()), Board::default());
    let kept = follower.latest().borrow().clone();
    if let Some(kept) = kept {
        adopt(&table, &metrics, &board, &kept);
    }
    let room = Room::new(metrics.held.clone());
    let holder = Holder {
        table: Arc::clone(&table),
        room: Arc::clone(&room),
        metrics: Arc::clone(&metrics),
    };
    let parts = Parts { name: config.name, etcd, follower, admin, board, table, room, metrics };
    let end = Arc::new(End::default());
    let loops = Loops { parts: Mutex::new(Some(parts)), end: Arc::clone(&end) };

    let mut server = Server::new_with_opt_and_conf(None, configuration());
    server.bootstrap();
    let mut users = pingora_proxy::http_proxy_service(
        &server.configuration,
        Proxy { holder, keys: config.keys },
    );
    let mut options = TcpSocketOptions::default();
    options.so_reuseport = Some(true);
    users.add_tcp_with_settings(&config.listen.to_string(), options);
    server.add_service(background_service("loops", loops));
    server.add_service(users);
    info!(listen = %config.listen, admin = %config.admin, "serving");
    server.run(RunArgs { shutdown_signal: Box::new(Stop(Arc::clone(&end))) });
    info!("stopped");
    end.failure().map_or(Ok(()), Err)
}

fn configuration() -> ServerConf {
    ServerConf {
        threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        grace_period_seconds: Some(GRACE_SECONDS),
        graceful_shutdown_timeout_seconds: Some(END_SECONDS),
        upstream_keepalive_pool_size: POOL,
        max_retries: TRIES_MAX,
        ..ServerConf::default()
    }
}

/// Says before the start if another program has the users' address: Pingora would try for half a
/// minute. Other routers share it.
fn check_free(listen: SocketAddr) -> anyhow::Result<()> {
    let socket = match listen {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    }
    .context("make a socket")?;
    socket.set_reuseport(true).context("share a port")?;
    socket.set_reuseaddr(true).context("take a port again")?;
    socket.bind(listen).with_context(|| format!("listen on {listen}; is another process using it"))
}

/// Each request uses up to three files; the usual limit of 1,024 would end before the holds do.
fn raise_file_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |maximum| maximum.min(FILES));
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })
        .map_err(|err| anyhow!(err))
        .context("raise the limit of open files")
}
