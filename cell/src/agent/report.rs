//! Looks around and says what is seen: for `/v1/status`, for etcd, and for this process's metrics.
//! Nothing safe rests on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use prometheus::{
    Gauge, IntGauge, IntGaugeVec, register_gauge, register_int_gauge, register_int_gauge_vec,
};
use runtime::Board;
use runtime::clock::BootTime;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::wire::agent::TenureName;
use topology::wire::key;
use topology::wire::report::{Flush, Room, SiteReport};
use tracing::debug;

use super::backup::AlertLines;
use super::decide::flush::Flushes;
use super::decide::room::Rooms;
use super::postgres::{Position, Postgres};
use super::shared::Shared;
use super::supervise::SERVICES;
use crate::config::Site;

/// How often the site is looked at; also at each change of what it is doing.
const PERIOD: Duration = Duration::from_millis(500);
/// How often etcd is told at most: these writes must not get into the way of the leases.
const PUBLISH: Duration = Duration::from_secs(2);

/// The alert while the voters are too far behind.
const VOTERS_LAG: &str = "voters-lag";
const VOTERS_LAG_DETAIL: &str =
    "the voters are more than 1 s or 16 MB behind: weak writes wait for them too, and are slow";

/// The alert while writes that only this site had are in no report.
const NOT_KEPT: &str = "lost-writes-not-kept";

/// The alert while PostgreSQL has no room to write in.
const DISK_FULL: &str = "disk-full";

const TENURES: [(TenureName, &str); 4] = [
    (TenureName::Standby, "standby"),
    (TenureName::Serving, "serving"),
    (TenureName::Draining, "draining"),
    (TenureName::Fenced, "fenced"),
];

struct Metrics {
    tenure: IntGaugeVec,
    remaining: Gauge,
    weak_writes_wait: IntGauge,
}

pub(crate) async fn report(
    site: Arc<Site>,
    etcd: Etcd,
    postgres: Arc<Postgres>,
    shared: Arc<Shared>,
    alerts: watch::Receiver<AlertLines>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = Metrics {
        tenure: register_int_gauge_vec!("cell_tenure", "1 for the current state", &["state"])
            .context("register the tenure")?,
        remaining: register_gauge!(
            "cell_lease_remaining_seconds",
            "How much longer this site may acknowledge without another renewal"
        )
        .context("register the remaining right")?,
        weak_writes_wait: register_int_gauge!(
            "cell_weak_writes_wait",
            "1 while the voters are so far behind that weak writes wait for them too"
        )
        .context("register whether weak writes wait")?,
    };
    let mut tenure = shared.tenure.subscribe();
    let mut sequence = 0;
    let mut published = Instant::now();
    let (mut last, mut position) = (None, None);
    let (mut flushes, mut rooms) = (Flushes::default(), Rooms::default());
    while !stop.is_cancelled() {
        sequence += 1;
        position = locate(&postgres, position).await;
        let mut seen = look(&postgres, &shared, &board, position, sequence).await;
        if postgres.is_running() && !postgres.is_standby() {
            seen.flush = look_at_disk(&postgres, &mut flushes).await;
        } else {
            flushes.begin_anew();
        }
        seen.room = look_at_room(&postgres, &mut rooms);
        if let Some(room) = seen.room.filter(|room| room.full) {
            let detail = format!("{} bytes are left where PostgreSQL writes", room.left_bytes);
            seen.alerts.insert(DISK_FULL.to_owned(), detail);
        }
        seen.alerts.extend(alerts.borrow().clone());
        if shared.tenure.borrow().lagging {
            seen.alerts.insert(VOTERS_LAG.to_owned(), VOTERS_LAG_DETAIL.to_owned());
        }
        if let Some(detail) = not_kept(&postgres, &shared) {
            seen.alerts.insert(NOT_KEPT.to_owned(), detail);
        }
        metrics.show(&seen, &shared);
        let changed = last != Some((seen.tenure, seen.epoch, seen.postgres.clone()));
        last = Some((seen.tenure, seen.epoch, seen.postgres.clone()));
        shared.report.send_replace(Some(seen.clone()));
        if changed || published.elapsed() >= PUBLISH {
            published = Instant::now();
            let value = serde_json::to_vec(&seen).context("write the report")?;
            if let Err(err) = etcd.put(&key::site(&site.id), value).await {
                debug!(error = %err, "report not published");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = told_otherwise(&mut tenure, seen.tenure) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Resolves when the tenure is another one; renewals alone are no news.
async fn told_otherwise(
    tenure: &mut tokio::sync::watch::Receiver<topology::wire::agent::TenureLine>,
    seen: TenureName,
) {
    if tenure.wait_for(|line| line.tenure != seen).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns where the server is; `None` while it does not answer.
async fn locate(postgres: &Postgres, before: Option<Position>) -> Option<Position> {
    if postgres.is_running() { postgres.position(before).await.ok() } else { None }
}

async fn look(
    postgres: &Postgres,
    shared: &Shared,
    board: &Board,
    position: Option<Position>,
    sequence: u64,
) -> SiteReport {
    let line = shared.tenure.borrow().clone();
    let running = postgres.is_running();
    let standby = postgres.is_standby();
    let doing = match (running, position.is_some(), standby) {
        (false, _, _) if postgres.is_rebuilding() => "rebuilding",
        (false, _, _) => "stopped",
        (true, false, _) => "starting",
        (true, true, true) if postgres.is_streaming().await => {
            postgres.sql.keep_ready().await;
            "standby"
        }
        (true, true, true) => "waiting",
        (true, true, false) => "primary",
    };
    let suffix = format!("_e{}", line.epoch);
    let lags = if doing == "primary" {
        postgres.sql.lags(&suffix).await.unwrap_or_default()
    } else {
        BTreeMap::new()
    };
    let missing = board.missing();
    SiteReport {
        sequence,
        tenure: line.tenure,
        epoch: line.epoch,
        postgres: doing.to_owned(),
        lsn: position.map_or(0, |position| position.lsn),
        timeline: position.map_or(0, |position| position.timeline),
        // `c1_north` under this epoch's names: the region is what is of interest.
        lag_bytes: lags
            .into_iter()
            .map(|(name, lag)| {
                let region =
                    name.split_once('_').map_or(name.clone(), |(_, region)| region.to_owned());
                (region, lag)
            })
            .collect(),
        flush: None,
        room: None,
        services: SERVICES
            .iter()
            .map(|(service, _)| ((*service).to_owned(), !missing.contains_key(*service)))
            .collect(),
        at_risk: line.tenure == TenureName::Serving && !line.strong,
        rebuilt: postgres.rebuilt(),
        alerts: BTreeMap::new(),
    }
}

async fn look_at_disk(postgres: &Postgres, flushes: &mut Flushes) -> Option<Flush> {
    match postgres.sql.flushes().await {
        Ok(counted) => flushes.saw(counted),
        // What was known of the disk before is told again: a server that has no time is none that is well.
        Err(err) => debug!(error = format!("{err:#}"), "flushes not counted"),
    }
    flushes.told()
}

fn look_at_room(postgres: &Postgres, rooms: &mut Rooms) -> Option<Room> {
    match postgres.room() {
        Ok(left) => Some(rooms.saw(left)),
        Err(err) => {
            debug!(error = format!("{err:#}"), "room not known");
            None
        }
    }
}

/// Says which writes that only this site had are in no report, and what to do about them.
fn not_kept(postgres: &Postgres, shared: &Shared) -> Option<String> {
    if let Some(reason) = &*shared.not_kept.borrow() {
        return Some(format!("writes that only this site had cannot be kept yet: {reason}"));
    }
    match postgres.unreported() {
        Ok(folders) => {
            let folder = folders.first()?.display();
            Some(format!("{folder} has writes that are in no report; look at it, then remove it"))
        }
        Err(err) => Some(format!("{err:#}")),
    }
}

impl Metrics {
    fn show(&self, seen: &SiteReport, shared: &Shared) {
        for (tenure, name) in TENURES {
            self.tenure.with_label_values(&[name]).set(i64::from(tenure == seen.tenure));
        }
        let remaining = shared.valid_until().since(BootTime::now());
        self.remaining.set(remaining.as_secs_f64());
        self.weak_writes_wait.set(i64::from(shared.tenure.borrow().lagging));
    }
}
