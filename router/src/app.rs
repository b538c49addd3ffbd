//! Builds the router: the one file that knows every part.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow};
use client::Etcd;
use client::follow::Follower;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use pingora_proxy::HttpProxy;
use runtime::{Board, telemetry};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use topology::spec::Cell;
use topology::spec::edge::identity::Trust;
use topology::{CellId, SiteId};
use tracing::{info, warn};

use crate::access_log;
use crate::cache::Cache;
use crate::certificates::Certificates;
use crate::config::{Asked, Config};
use crate::connections::{self, Connections};
use crate::doors::Doors;
use crate::drain::Drain;
use crate::hold::Holder;
use crate::identity::{Identities, Places};
use crate::listeners::Listeners;
use crate::loops::{Loops, Parts, adopt};
use crate::metrics::Metrics;
use crate::mutual::Mutual;
use crate::protection::Protection;
use crate::proxy::Proxy;
use crate::public::{Beside, Near, PublicReads};
use crate::rollback;
use crate::room::Room;
use crate::stop::{End, Stop};
use crate::table::Table;

/// The drain comes before the server is told to stop: nothing is in flight any more.
const GRACE_SECONDS: u64 = 0;
/// For the runtimes to end what they do.
const END_SECONDS: u64 = 1;
/// Idle connections kept to all sites together; a site at full load uses some hundred.
const POOL: usize = 1024;
/// More tries than back-offs of 20 to 250 ms fit into a hold: time is what bounds them.
const TRIES_MAX: usize = 1000;
/// By the limits' defaults: 16,000 users' connections, and for each of 9,000 requests and streams
/// under way a connection to a site and its handle.
const FILES: u64 = 65_536;

/// Does what the command line asks for: runs the router until it is asked to stop, or rolls back.
pub fn run() -> anyhow::Result<()> {
    match Config::read().context("read the configuration")? {
        Asked::Serve(config) => serve(*config),
        Asked::Rollback(flags) => rollback::run(&flags),
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::start("bulkhead-router", &config.name, None)?;
    runtime::admin::build_info("router", env!("CARGO_PKG_VERSION"))?;
    raise_file_limit()?;
    let places = Places {
        run_dir: &config.run_dir,
        development: &config.development,
        kept: &config.fetched_keys,
    };
    let trust = &config.spec.edge.identity;
    let identities = Arc::new(Identities::open(trust, &places).context("read keys")?);
    let is_development = *trust == Trust::Development;
    if is_development {
        warn!(
            "the development issuer is trusted: whoever has its key is any user; not for production"
        );
    }

    let cells: Vec<CellId> = config.spec.cells.iter().map(|cell| cell.id.clone()).collect();
    let sites: Vec<SiteId> = config.spec.cells.iter().flat_map(Cell::sites).collect();
    let metrics = Arc::new(Metrics::register(&cells, &sites).context("register metrics")?);
    let mutual = match &config.spec.edge.sites {
        Some(sites) => Some(Mutual::read(sites, &config.run_dir)?),
        None => None,
    };
    let certificates = certificates(&config, &metrics)?;
    let Listeners { opening, admin, sharing } = Listeners::open(&config, certificates.as_ref())?;
    let (listen, admin_address) = (config.listen, config.admin);
    let etcd = Etcd::connect(config.spec.etcd_endpoints(None)).over(config.spec.round_trip);
    let follower = Follower::open(etcd.clone(), config.folder.join("snapshots"))
        .context("read kept snapshots")?;
    let (table, board) = (Arc::new(Table::new(mutual.clone())), Board::default());
    let kept = follower.latest().borrow().clone();
    if let Some(kept) = kept {
        adopt(&table, &metrics, &board, &kept);
    }
    let edge = &config.spec.edge;
    let (limits, open) = (edge.limits.clone(), metrics.connections.clone());
    let room = Room::new(edge.limits.held, metrics.held.clone());
    let protection = Arc::new(Protection::new(edge, Arc::clone(&metrics)));
    let routers = Arc::clone(&protection.routers);
    let holder = Holder {
        table: Arc::clone(&table),
        room: Arc::clone(&room),
        metrics: Arc::clone(&metrics),
        protection,
        round_trip: config.spec.round_trip,
    };
    let edge = Arc::clone(&metrics.edge);
    let near = Near::new(Arc::clone(&table), mutual.clone(), Arc::clone(&edge));
    let (cache, public) = (Cache::new(Arc::clone(&edge)), config.spec.edge.public);
    let beside = Beside { near, cache, probe_path: public.probe_path().map(str::to_owned) };
    let public = PublicReads { public, near: Arc::clone(&beside.near), cache, metrics: edge };
    let (drain, end) = (Arc::new(Drain::default()), Arc::new(End::default()));
    metrics.development_issuer.set(i64::from(is_development));
    let (access_log, writer) =
        access_log::open(&config.spec.edge.access_log, &config.folder, &metrics);
    let parts = Parts {
        name: config.name,
        etcd,
        follower,
        admin,
        sharing,
        draining: drain.watch(),
        certificates,
        mutual,
        board: board.clone(),
        table: Arc::clone(&table),
        room,
        routers,
        metrics,
        identities: Arc::clone(&identities),
        is_development,
        beside,
        access_log: writer,
    };
    let loops = Loops { parts: Mutex::new(Some(parts)), end: Arc::clone(&end) };

    let mut server = Server::new_with_opt_and_conf(None, configuration());
    server.bootstrap();
    let unread = limits.slow.unread;
    let proxy = Proxy { holder, identities, public, access_log, drain: Arc::clone(&drain), unread };
    let mut app = HttpProxy::new(proxy, Arc::clone(&server.configuration));
    app.handle_init_modules();
    connections::bound(&mut app, &limits);
    let app = Arc::new(app);
    let doors = Doors {
        opening: Mutex::new(Some(opening)),
        app: Arc::clone(&app),
        connections: Arc::new(Connections::new(limits, open)),
        table: Arc::clone(&table),
        drain: Arc::clone(&drain),
        end: Arc::clone(&end),
    };
    let mut users = background_service("users", doors);
    users.threads = None;
    server.add_service(background_service("loops", loops));
    server.add_service(users);
    info!(%listen, admin = %admin_address, "serving");
    let stop = Stop { end: Arc::clone(&end), drain, app, table, board };
    server.run(RunArgs { shutdown_signal: Box::new(stop) });
    info!("stopped");
    end.failure().map_or(Ok(()), Err)
}

fn configuration() -> ServerConf {
    ServerConf {
        threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        // Requests are many and short: each thread has its share without taking from the others.
        work_stealing: false,
        grace_period_seconds: Some(GRACE_SECONDS),
        graceful_shutdown_timeout_seconds: Some(END_SECONDS),
        upstream_keepalive_pool_size: POOL,
        max_retries: TRIES_MAX,
        ..ServerConf::default()
    }
}

/// Reads the users' certificates, where users come in with TLS.
fn certificates(config: &Config, metrics: &Metrics) -> anyhow::Result<Option<Arc<Certificates>>> {
    let Some(tls) = &config.spec.edge.tls else { return Ok(None) };
    let certificates = Certificates::read(tls, &config.run_dir, &metrics.certificate_expires)?;
    Ok(Some(Arc::new(certificates)))
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
