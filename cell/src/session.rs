//! Gateway and session in one process: conversations, their messages, and the bot's turns.
//!
//! A message is committed before anything is asked of anybody, and its reply in a second
//! transaction together with all that follows from it. What dies in between is finished later by
//! `sweep`; a reply is unique, so nothing is answered twice.

mod conversation;
pub mod decide;
mod downstream;
mod message;
mod metrics;
mod phrase;
mod relay;
mod routes;
mod sweep;
mod turn;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use client::Etcd;
use client::follow::{Followed, Follower};
use runtime::clock::BootTime;
use runtime::door::Door;
use runtime::{Board, HttpClient, Problem, Tasks, admin, reconcile::reconcile, server};
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use topology::SiteId;
use topology::address::Port;
use topology::spec::{Durability, Public};
use uuid::Uuid;

use crate::config::Site;
use crate::database::idempotency::Writer;
use crate::database::{self, Connections, Failure, Transaction};
use crate::gateway::{
    self, Barrier, Canary, Gateway, PassOn, Permit, Right, Strength, guard, refusal, secure,
};
use downstream::Downstream;

const GRACE: Duration = Duration::from_secs(4);
/// How many changes a stream may be behind before it reads everything again.
const CHANGES: usize = 1024;
/// Streams open at once; each costs a few kilobytes and a query per message.
const STREAMS_MAX: usize = 1024;
/// The outbox is looked at this often even if nobody says that something is in it.
const RELAY_PERIOD: Duration = Duration::from_millis(500);
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
const PURGE_PERIOD: Duration = Duration::from_mins(1);

/// What the session's parts share.
pub struct Session {
    site: SiteId,
    connections: Connections,
    durability: Durability,
    http: HttpClient,
    ticket: SocketAddr,
    nlp: Downstream,
    knowledge: Downstream,
    right: watch::Receiver<Option<Right>>,
    barrier: Barrier,
    /// Conversations that have just changed, for the streams that show them.
    changes: broadcast::Sender<Uuid>,
    streams: Arc<Semaphore>,
    /// Something is in the outbox.
    posted: Notify,
}

/// Where a site's other services are.
#[derive(Clone, Copy, Debug)]
pub struct Neighbours {
    pub nlp: SocketAddr,
    pub knowledge: SocketAddr,
    pub ticket: SocketAddr,
}

impl Session {
    pub fn new(
        site: SiteId,
        connections: Connections,
        durability: Durability,
        neighbours: Neighbours,
        right: watch::Receiver<Option<Right>>,
    ) -> Self {
        metrics::begin();
        let http = HttpClient::default();
        Self {
            site,
            connections,
            durability,
            ticket: neighbours.ticket,
            nlp: Downstream::nlp(http.clone(), neighbours.nlp),
            knowledge: Downstream::knowledge(http.clone(), neighbours.knowledge),
            http,
            barrier: Barrier::new(right.clone()),
            right,
            changes: broadcast::channel(CHANGES).0,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            posted: Notify::new(),
        }
    }

    /// Returns the right to work without being asked: serving, and not about to pass the epoch's
    /// barrier. Where the voters are missing, the barrier is not waited for.
    fn own_right(&self) -> Option<Right> {
        let right = (*self.right.borrow())?;
        let serves = gateway::decide::admit::may_begin(right, BootTime::now());
        (serves && right.strength() != Strength::Soon).then_some(right)
    }

    /// Refuses a message or a conversation that is to be kept strongly and could not be; waits for the
    /// barrier where it could then.
    async fn demand_write(&self, permit: Permit) -> Result<Permit, Problem> {
        match self.durability {
            Durability::Weak => Ok(permit),
            Durability::Strong => self.barrier.strong(permit).await,
        }
    }

    /// Returns who makes the write that `permit` admits.
    fn writer(&self, permit: Permit) -> Writer {
        Writer { site: self.site.clone(), epoch: permit.epoch }
    }

    /// Begins to write a message or a conversation. While the voters lag, it is answered only when
    /// they have it, so that losing this region loses no more.
    async fn begin(&self, strength: Strength) -> Result<Transaction, Failure> {
        match strength {
            Strength::Lagging => Transaction::begin_held(&self.connections, self.durability).await,
            Strength::Now | Strength::Soon | Strength::AtRisk => {
                Transaction::begin(&self.connections, self.durability).await
            }
        }
    }

    /// Tells the streams that a conversation has changed; nobody may be listening.
    fn changed(&self, conversation: Uuid) {
        drop(self.changes.send(conversation));
    }
}

/// Returns the routes users are served by, behind the gateway, and in front of them what is public.
pub fn routes(
    session: Arc<Session>,
    gateway: Arc<Gateway>,
    neighbours: Neighbours,
    public: Public,
) -> Router {
    let pass_on = PassOn {
        http: session.http.clone(),
        barrier: session.barrier.clone(),
        ticket: neighbours.ticket,
        knowledge: neighbours.knowledge,
        nlp: neighbours.nlp,
    };
    let routes =
        routes::routes(session).merge(pass_on.routes()).fallback(async || refusal::not_found());
    let routes = routes.method_not_allowed_fallback(async || refusal::not_allowed());
    gateway::public::in_front(server::observed(guard(routes, gateway)), public, &pass_on)
}

/// Finishes turns left without a reply, for the sweeper and for tests.
pub async fn sweep(session: &Session) -> anyhow::Result<()> {
    sweep::finish_turns(session).await
}

/// Passes on what is in the outbox, for the relay and for tests.
pub async fn relay(session: &Session) -> anyhow::Result<()> {
    relay::pass_on(session).await
}

/// Runs until asked to stop.
pub async fn run(site: &Site) -> anyhow::Result<()> {
    let listener = admin::bind(site.address(Port::Gateway)).await?;
    let admin_listener = admin::bind(site.address(Port::SessionAdmin)).await?;
    let connections = database::connections(site, "session", site.spec.messages)?;
    let board = Board::default();
    let etcd =
        Etcd::connect(site.spec.etcd_endpoints(Some(&site.id.region))).over(site.spec.round_trip);
    let follower = Follower::open(etcd, site.folder().join("snapshots"))
        .context("open the last known good snapshots")?;
    let (right_told, right) = watch::channel(None);
    let neighbours = Neighbours {
        nlp: site.address(Port::Nlp),
        knowledge: site.address(Port::Knowledge),
        ticket: site.address(Port::Ticket),
    };
    let gateway = Arc::new(Gateway::new(
        site.id.clone(),
        follower.latest(),
        right.clone(),
        connections.clone(),
    ));
    let session = Arc::new(Session::new(
        site.id.clone(),
        connections.clone(),
        site.spec.messages,
        neighbours,
        right,
    ));

    let mut tasks = Tasks::default();
    tasks.start("keep connections warm", |stop| database::keep_warm(connections, stop));
    let (snapshot, ready) = (follower.latest(), board.clone());
    tasks.start("follow the snapshot", |stop| follower.run(stop));
    tasks.start("await a first snapshot", |stop| await_snapshot(snapshot, ready, stop));
    let (agent, ready) = (site.address(Port::Agent), board.clone());
    tasks
        .start("follow the tenure", |stop| gateway::tenure::follow(agent, right_told, ready, stop));
    let (shared, results) = (Arc::clone(&session), board.clone());
    tasks.start("relay the outbox", |stop| async move {
        let relay = || relay::pass_on(&shared);
        reconcile("relay the outbox", &results, &shared.posted, RELAY_PERIOD, stop, relay).await
    });
    let (shared, results) = (Arc::clone(&session), board.clone());
    tasks.start("finish turns", |stop| async move {
        let finish = || sweep::finish_turns(&shared);
        reconcile("finish turns", &results, &Notify::new(), SWEEP_PERIOD, stop, finish).await
    });
    let (shared, results) = (Arc::clone(&session), board.clone());
    tasks.start("purge what is old", |stop| async move {
        let purge = || sweep::purge(&shared);
        reconcile("purge what is old", &results, &Notify::new(), PURGE_PERIOD, stop, purge).await
    });
    let counted = Arc::clone(&gateway);
    let in_flight = get(|| async move { Json(counted.work()) });
    let (canary, tried) = (Arc::new(Canary::default()), Arc::clone(&gateway));
    let canary = post(|| async move { Json(canary.sing(&tried).await) });
    let admin_routes =
        admin::routes(board).route("/v1/in-flight", in_flight).route("/v1/canary", canary);
    tasks.start("serve the admin endpoint", |stop| {
        server::serve(admin_listener, admin_routes, stop)
    });
    let routes = routes(session, gateway, neighbours, site.spec.edge.public.clone());
    match &site.spec.edge.sites {
        Some(mutual) => {
            let certificate = secure::certificate(mutual, &site.run_dir);
            let certificate = Arc::new(certificate.context("read the site's certificate")?);
            let door = Door::new(listener, Arc::clone(&certificate), secure::ROUTERS);
            tasks.start(
                "watch the certificate",
                |stop| async move { certificate.watch(stop).await },
            );
            tasks.start("serve requests", |stop| server::serve(door, routes, stop));
        }
        None => tasks.start("serve requests", |stop| server::serve(listener, routes, stop)),
    }
    tasks.run(runtime::stop_asked(), GRACE).await
}

/// Says on the board whether a snapshot has ever been heard of; from then on it is kept.
async fn await_snapshot(
    mut snapshot: watch::Receiver<Option<Followed>>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    board.condition("snapshot", Err("no snapshot has been heard of".to_owned()));
    tokio::select! {
        heard = async { snapshot.wait_for(Option::is_some).await.map(drop) } => {
            heard.context("hear of a snapshot")?;
            board.condition("snapshot", Ok(()));
            stop.cancelled().await;
        }
        () = stop.cancelled() => {}
    }
    Ok(())
}
