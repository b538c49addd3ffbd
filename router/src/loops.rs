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
use client::follow::{Followed, Follower};
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::background::BackgroundService;
use runtime::{Board, Tasks, admin, server, stop_asked};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use topology::wire::key;
use topology::wire::report::RouterReport;
use tracing::{debug, error};

use crate::explain;
use crate::metrics::Metrics;
use crate::room::Room;
use crate::table::Table;

/// How often the router says how it is.
const REPORT: Duration = Duration::from_secs(2);
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
    pub(crate) board: Board,
    pub(crate) table: Arc<Table>,
    pub(crate) room: Arc<Room>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The loops as Pingora runs them: started once.
pub(crate) struct Loops {
    pub(crate) parts: Mutex<Option<Parts>>,
    pub(crate) end: Arc<End>,
}

/// How the loops ended, for who waits to stop the process.
#[derive(Default)]
pub(crate) struct End {
    ended: Notify,
    failure: Mutex<Option<anyhow::Error>>,
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
        let failure = parts.run(stopped).await.err();
        *self.end.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        self.end.ended.notify_one();
    }
}

impl End {
    pub(crate) fn failure(&self) -> Option<anyhow::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Stops the server when asked to, or when the loops have ended.
pub(crate) struct Stop(pub(crate) Arc<End>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        tokio::select! {
            () = stop_asked() => {}
            () = self.0.ended.notified() => error!("stopping: a loop has ended"),
        }
        ShutdownSignal::GracefulTerminate
    }
}

impl Parts {
    async fn run(self, stopped: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { name, etcd, follower, admin, board, table, room, metrics } = self;
        admin.set_nonblocking(true).context("listen for the admin endpoint")?;
        let admin = tokio::net::TcpListener::from_std(admin).context("listen for admin")?;
        let routes = admin::routes(board.clone()).merge(explain::routes(Arc::clone(&table)));
        let latest = follower.latest();
        let mut tasks = Tasks::default();
        tasks.start("follow the snapshot", |stop| follower.run(stop));
        tasks.start("apply snapshots", {
            let (table, metrics) = (Arc::clone(&table), Arc::clone(&metrics));
            |stop| apply(latest, table, metrics, board, stop)
        });
        tasks.start("serve the admin endpoint", |stop| server::serve(admin, routes, stop));
        tasks.start("report", |stop| report(name, etcd, table, room, metrics, stop));
        tasks.run(stopped, GRACE).await
    }
}

/// Puts a snapshot to use and says so.
pub(crate) fn adopt(table: &Table, metrics: &Metrics, board: &Board, followed: &Followed) {
    table.apply(followed, Instant::now());
    let version = followed.snapshot.version.0;
    metrics.table_version.set(i64::try_from(version).unwrap_or(i64::MAX));
    metrics.table_stale.set(i64::from(followed.stale));
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

/// Tells people and the control plane what this router routes by. Nothing rests on it: with etcd
/// gone it is tried again at the next turn.
async fn report(
    name: String,
    etcd: Etcd,
    table: Arc<Table>,
    room: Arc<Room>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut turns = interval(REPORT);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let key = key::router(&name);
    for sequence in 0.. {
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => break,
        }
        let Some(applied) = table.current() else { continue };
        let age = applied.stale_since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        metrics.table_age.set(age);
        let report = RouterReport {
            sequence,
            version: applied.snapshot.version.0,
            stale: applied.stale_since.is_some(),
            held: room.held(),
        };
        let value = serde_json::to_vec(&report).context("write a report")?;
        if let Err(err) = etcd.put(&key, value).await {
            debug!(error = %err, "report not delivered");
        }
    }
    Ok(())
}
