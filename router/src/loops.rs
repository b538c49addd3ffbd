//! What runs beside the requests: follow the snapshot, serve the admin endpoint, report.
//!
//! Pingora owns the runtimes; this is one of its background services, and inside it the house's own
//! tasks. When one of them fails, the router stops: a router that no longer follows must not go on
//! unnoticed.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use client::Etcd;
use client::follow::{Followed, Follower, Refused};
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use runtime::{Board, Tasks, admin, server};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use topology::wire::key;
use topology::wire::report::RouterReport;
use tracing::debug;

use crate::access_log::Writer;
use crate::buckets::LiveRouters;
use crate::certificates::Certificates;
use crate::decide::fleet::Fleet;
use crate::explain;
use crate::identity::{Identities, keep_fresh};
use crate::metrics::Metrics;
use crate::mutual::Mutual;
use crate::public::Beside;
use crate::report::{self, Reporter};
use crate::room::Room;
use crate::sockets::Sharing;
use crate::stop::End;
use crate::table::Table;

/// For the loops to end; within the process's own grace.
const GRACE: Duration = Duration::from_secs(1);
/// The condition for being ready.
const CONDITION: &str = "routing table";

/// Everything the loops need.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) etcd: Etcd,
    pub(crate) follower: Follower,
    pub(crate) admin: TcpListener,
    pub(crate) sharing: Sharing,
    pub(crate) draining: ShutdownWatch,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) mutual: Option<Mutual>,
    pub(crate) board: Board,
    pub(crate) table: Arc<Table>,
    pub(crate) room: Arc<Room>,
    pub(crate) routers: Arc<LiveRouters>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) identities: Arc<Identities>,
    /// Whether the development issuer is trusted.
    pub(crate) is_development: bool,
    pub(crate) beside: Beside,
    pub(crate) access_log: Writer,
}

/// The loops as Pingora runs them: started once.
pub(crate) struct Loops {
    pub(crate) parts: Mutex<Option<Parts>>,
    pub(crate) end: Arc<End>,
}

#[async_trait]
impl BackgroundService for Loops {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(parts) = parts else { return };
        let stopped = async move {
            // An error means that the sender is gone, and with it the process.
            while !*shutdown.borrow_and_update() && shutdown.changed().await.is_ok() {}
        };
        let replaced = self.end.replaced.clone();
        if let Err(failure) = parts.run(stopped, replaced).await {
            self.end.failed(failure);
        }
    }
}

impl Parts {
    /// Runs until stopped. Once replaced, it goes on following the snapshot, for the requests that
    /// are still here; to report and to answer its operator is the successor's business then.
    async fn run(
        self,
        stopped: impl Future<Output = ()>,
        replaced: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { name, etcd, follower, admin, sharing, board, draining, .. } = self;
        let (table, room, metrics) = (self.table, self.room, self.metrics);
        let (beside, access_log) = (self.beside, self.access_log);
        admin.set_nonblocking(true).context("listen for the admin endpoint")?;
        let admin = tokio::net::TcpListener::from_std(admin).context("listen for admin")?;
        let routes = admin::routes(board.clone())
            .merge(explain::routes(Arc::clone(&table), self.is_development))
            .merge(beside.routes());
        let (latest, refused) = (follower.latest(), follower.refused());
        let mut tasks = Tasks::default();
        tasks.start("follow the snapshot", |stop| follower.run(stop));
        tasks.start("apply snapshots", {
            let (table, metrics) = (Arc::clone(&table), Arc::clone(&metrics));
            |stop| apply(latest, table, metrics, board, stop)
        });
        tasks.start("count refused snapshots", {
            let (table, metrics) = (Arc::clone(&table), Arc::clone(&metrics));
            |stop| count_refused(refused, table, metrics, stop)
        });
        tasks.start("count the routers", {
            let (etcd, live, metrics) = (etcd.clone(), self.routers, Arc::clone(&metrics));
            |stop| count(etcd, live, metrics, stop)
        });
        for number in 0..self.identities.count() {
            let identities = Arc::clone(&self.identities);
            tasks.start("keep keys fresh", |stop| keep_fresh(identities, number, stop));
        }
        if let Some(mutual) = self.mutual {
            tasks.start("watch the certificate for sites", |stop| async move {
                mutual.watch(stop).await
            });
        }
        if let Some(certificates) = self.certificates {
            tasks.start("watch the users' certificates", |stop| async move {
                certificates.watch(stop).await
            });
        }
        tasks.start("share the sockets", {
            let (table, replaced) = (Arc::clone(&table), replaced.clone());
            |stop| sharing.run(table, draining, replaced, stop)
        });
        tasks.start("measure how near the sites are", |stop| beside.probe(stop));
        let left = replaced.clone();
        tasks.start("serve the admin endpoint", |stop| async move {
            let serving = server::serve(admin, routes, stop.clone());
            unless(left, serving, stop).await
        });
        tasks.start("write the access log", |stop| access_log.run(stop));
        tasks.start("report", |stop| async move {
            let reporter = Reporter { name, etcd, table, room, metrics };
            unless(replaced, Box::pin(reporter.run(stop.clone())), stop).await
        });
        tasks.run(stopped, GRACE).await
    }
}

/// Does something until replaced, and then nothing until stopped.
async fn unless(
    replaced: CancellationToken,
    task: impl Future<Output = anyhow::Result<()>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        ended = task => ended,
        () = replaced.cancelled() => {
            stop.cancelled().await;
            Ok(())
        }
    }
}

/// Puts a snapshot to use and says so.
pub(crate) fn adopt(table: &Table, metrics: &Metrics, board: &Board, followed: &Followed) {
    table.apply(followed, Instant::now());
    metrics.table(followed);
    board.condition(CONDITION, Ok(()));
}

async fn apply(
    mut latest: watch::Receiver<Option<Followed>>,
    table: Arc<Table>,
    metrics: Arc<Metrics>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if table.current().is_none() {
        board.condition(CONDITION, Err("none received yet".to_owned()));
    }
    loop {
        let followed = latest.borrow_and_update().clone();
        if let Some(followed) = followed {
            adopt(&table, &metrics, &board, &followed);
        }
        tokio::select! {
            changed = latest.changed() => {
                // Closed: following has ended, which ends the router and is told by that task.
                if changed.is_err() {
                    return Ok(());
                }
            }
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Shows what was offered and not put to use.
async fn count_refused(
    mut refused: watch::Receiver<Refused>,
    table: Arc<Table>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    // An error means that following has ended, which ends the router and is told by that task.
    while let Some(Ok(())) = stop.run_until_cancelled(refused.changed()).await {
        let now = refused.borrow_and_update().clone();
        metrics.table_refused(&now);
        table.refuse(now.last);
    }
    Ok(())
}

/// Keeps the number among which each cell's rate is divided; with etcd gone the last one counts.
async fn count(
    etcd: Etcd,
    routers: Arc<LiveRouters>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut turns = interval(report::EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut fleet = Fleet::default();
    loop {
        metrics.live_routers.set(routers.count().into());
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        match etcd.read(&[key::ROUTERS]).await {
            Ok(stored) => {
                let reports = stored.into_iter().map(|stored| {
                    // A report of another version's form is a live router's all the same.
                    let report: Option<RouterReport> = serde_json::from_slice(&stored.value).ok();
                    (stored.key, report.map_or(stored.revision, |report| report.sequence))
                });
                routers.set(fleet.saw(reports.collect(), started.elapsed()));
            }
            Err(err) => debug!(error = %err, "routers not counted"),
        }
    }
}
