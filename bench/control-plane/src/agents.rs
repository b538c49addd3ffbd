//! Stand-ins for the agents of all sites, in one process: they renew, report, follow and answer as
//! often as real ones do, with the same client, and have no database.

mod answer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use client::etcd::Heard;
use client::lease::Lease;
use futures_util::future::join_all;
use runtime::{Tasks, clock};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::{CellId, Phase, RegionId, SiteId, Spec};

use crate::world;

/// How often an agent reads its cell's record, whatever its watch says.
const FOLLOW: Duration = Duration::from_secs(1);
/// An agent writes its report at every so many of these reads.
const REPORT: u64 = 2;

/// All stand-ins, and what they were asked.
pub(crate) struct Fleet {
    spec: Arc<Spec>,
    /// A connection for all agents of a region, where real ones have one each.
    etcd: BTreeMap<RegionId, Etcd>,
    cells: BTreeMap<CellId, Cell>,
    /// Places in `sites`, by the address they answer at.
    sites: Vec<Site>,
    dead: watch::Sender<Option<RegionId>>,
    pub(crate) counts: Counts,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) renewed: AtomicU64,
    /// Renewals that no member of etcd answered in time.
    pub(crate) failed: AtomicU64,
    /// Times that a right ran out before it was renewed.
    pub(crate) lapsed: AtomicU64,
    pub(crate) reported: AtomicU64,
    pub(crate) unreported: AtomicU64,
    pub(crate) probed: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// How long renewals took, since they were last asked for.
    renewals: Mutex<Vec<Duration>>,
}

struct Cell {
    /// As last read, and its revision.
    followed: watch::Sender<Option<(RoutedCell, u64)>>,
    /// In milliseconds since 1970: the last renewal that was confirmed, and when the cell was opened.
    renewed_at: AtomicU64,
    opened_at: AtomicU64,
}

struct Site {
    id: SiteId,
    /// What it answers when it is probed, made anew from time to time.
    status: Mutex<Arc<[u8]>>,
}

impl Fleet {
    pub(crate) fn new(spec: &Arc<Spec>) -> Self {
        let cell = || Cell {
            followed: watch::channel(None).0,
            renewed_at: AtomicU64::new(0),
            opened_at: AtomicU64::new(0),
        };
        let etcd = |region| Etcd::connect(spec.etcd_endpoints(Some(region)));
        let site = |id| Site { id, status: Mutex::new(Arc::new([])) };
        Self {
            spec: Arc::clone(spec),
            etcd: spec.regions.iter().map(|r| (r.id.clone(), etcd(&r.id))).collect(),
            cells: spec.cells.iter().map(|listed| (listed.id.clone(), cell())).collect(),
            sites: world::sites(spec).map(site).collect(),
            dead: watch::channel(None).0,
            counts: Counts::default(),
        }
    }

    /// Lives until stopped.
    pub(crate) fn start(self: &Arc<Self>, tasks: &mut Tasks) {
        let fleet = || Arc::clone(self);
        let (following, holding) = (fleet(), fleet());
        tasks.start("follow and report", |stop| async move { following.follow(&stop).await });
        tasks.start("hold leases", |stop| async move { holding.renew(&stop).await });
        for port in [Port::Agent, Port::SessionAdmin] {
            let answering = fleet();
            tasks.start("answer control planes", |stop| async move {
                tokio::select! {
                    ended = answer::serve(&answering, port) => ended,
                    () = stop.cancelled() => Ok(()),
                }
            });
        }
    }

    async fn follow(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let count = u32::try_from(self.sites.len()).context("count the sites")?;
        let first = Instant::now();
        let agents = self.sites.iter().zip(0..).map(|(site, number)| {
            let ticks = every(FOLLOW, first + FOLLOW * number / count);
            self.agent(site, ticks, stop)
        });
        tokio::select! {
            _ = join_all(agents) => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    async fn renew(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let count = u32::try_from(self.cells.len()).context("count the cells")?;
        let (first, renew) = (Instant::now(), self.spec.lease.renew);
        let holders = self.cells.iter().zip(0..).map(|((id, cell), number)| {
            let ticks = every(renew, first + renew * number / count);
            self.hold(id, cell, ticks)
        });
        tokio::select! {
            _ = join_all(holders) => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    /// All that are in the region say and answer nothing any more.
    pub(crate) fn kill(&self, region: &RegionId) {
        self.dead.send_replace(Some(region.clone()));
    }

    fn is_dead(&self, region: &RegionId) -> bool {
        self.dead.borrow().as_ref() == Some(region)
    }

    /// How many cells are steady, and the sum of all epochs.
    pub(crate) fn steady(&self) -> (usize, u64) {
        let cells = self.cells.values().filter_map(|cell| {
            let followed = cell.followed.borrow();
            let (routed, _) = followed.as_ref()?;
            let activation = &routed.activation;
            let steady = activation.serving().is_some_and(|region| !self.is_dead(region));
            Some((usize::from(steady), activation.epoch.0))
        });
        cells.fold((0, 0), |(steady, epochs), (one, epoch)| (steady + one, epochs + epoch))
    }

    /// Cells whose active site is in the region, with when it last renewed.
    pub(crate) fn active_in(&self, region: &RegionId) -> BTreeMap<CellId, u64> {
        let held = self.cells.iter().filter(|(_, cell)| {
            cell.followed
                .borrow()
                .as_ref()
                .is_some_and(|(routed, _)| routed.activation.holder() == Some(region))
        });
        held.map(|(id, cell)| (id.clone(), cell.renewed_at.load(Ordering::Relaxed))).collect()
    }

    /// When the cell was last opened under a new epoch, in milliseconds since 1970.
    pub(crate) fn opened_at(&self, cell: &CellId) -> u64 {
        self.cells.get(cell).map_or(0, |cell| cell.opened_at.load(Ordering::Relaxed))
    }

    /// One agent's ordinary life: read the cell's record, report now and then, watch the record.
    async fn agent(&self, site: &Site, mut ticks: Interval, stop: &CancellationToken) {
        let etcd = &self.etcd[&site.id.region];
        let own = key::cell(&site.id.cell);
        let (wake, heard) = (Notify::new(), Heard::default());
        let follow = async {
            let mut sequence = 0;
            loop {
                let due = tokio::select! {
                    _ = ticks.tick() => true,
                    () = wake.notified() => false,
                };
                self.read(site, etcd, &heard, &own).await;
                sequence += u64::from(due);
                if due && sequence.is_multiple_of(REPORT) {
                    self.report(site, etcd, sequence).await;
                }
            }
        };
        let mut dead = self.dead.subscribe();
        let died = dead.wait_for(|dead| dead.as_ref() == Some(&site.id.region));
        let watched = [own.as_str()];
        tokio::select! {
            () = etcd.hint(&watched, &heard, &wake, stop) => {}
            () = follow => {}
            _ = died => {}
        }
    }

    async fn read(&self, site: &Site, etcd: &Etcd, heard: &Heard, own: &str) {
        let Ok(stored) = etcd.read_heard(heard, &[own]).await else { return };
        let Some(stored) = stored.iter().find(|stored| stored.key == own) else { return };
        let routed = serde_json::from_slice::<CellRecord>(&stored.value)
            .ok()
            .and_then(|record| RoutedCell::try_from(record).ok());
        let Some(routed) = routed else { return };
        self.cells[&site.id.cell].followed.send_if_modified(|followed| {
            let newer = followed.as_ref().is_none_or(|(_, known)| *known < stored.revision);
            if newer {
                *followed = Some((routed, stored.revision));
            }
            newer
        });
    }

    async fn report(&self, site: &Site, etcd: &Etcd, sequence: u64) {
        let followed = self.cells[&site.id.cell].followed.borrow().clone();
        let Some((routed, _)) = followed else { return };
        let report = world::report(&site.id, &routed, sequence);
        let value = serde_json::to_vec(&report).expect("a report is plain JSON");
        *site.status.lock().unwrap_or_else(PoisonError::into_inner) = answer::ok(&value);
        let count = match etcd.put(&key::site(&site.id), value).await {
            Ok(()) => &self.counts.reported,
            Err(_) => &self.counts.unreported,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whoever is active renews, and opens the cell when it has been promoted.
    async fn hold(&self, id: &CellId, cell: &Cell, mut ticks: Interval) {
        let mut followed = cell.followed.subscribe();
        let mut lease: Option<Lease> = None;
        let mut valid_from: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = followed.changed() => if changed.is_err() { return },
            }
            let Some((routed, revision)) = followed.borrow_and_update().clone() else { continue };
            let activation = &routed.activation;
            let Some(region) = activation.holder().filter(|region| !self.is_dead(region)) else {
                valid_from = None;
                continue;
            };
            let etcd = &self.etcd[region];
            let held = lease.take_if(|lease| lease.epoch() == activation.epoch);
            let mut held = held.unwrap_or_else(|| {
                Lease::new(etcd.clone(), id.clone(), region.clone(), activation.epoch)
            });
            let begun = Instant::now();
            let renewed = held.renew(revision, |_nobody_asks| {}).await.is_ok();
            lease = Some(held);
            self.count_renewal(renewed, begun, &mut valid_from);
            if !renewed {
                continue;
            }
            cell.renewed_at.store(clock::unix_millis(), Ordering::Relaxed);
            if matches!(activation.phase, Phase::Promoting { .. }) {
                let opened = world::opened(routed.clone(), region);
                let value = serde_json::to_vec(&CellRecord::from(&opened)).expect("plain JSON");
                let own = key::cell(id);
                if etcd.put_if(&own, &value, &[(&own, revision)]).await.is_ok() {
                    cell.opened_at.store(clock::unix_millis(), Ordering::Relaxed);
                }
            }
        }
    }

    fn count_renewal(&self, renewed: bool, begun: Instant, valid_from: &mut Option<Instant>) {
        if !renewed {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.counts.renewed.fetch_add(1, Ordering::Relaxed);
        let took = begun.elapsed();
        self.counts.renewals.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        // The right counts from when the last renewal was sent.
        let right = self.spec.lease.right;
        if valid_from.is_some_and(|from| from + right < begun + took) {
            self.counts.lapsed.fetch_add(1, Ordering::Relaxed);
        }
        *valid_from = Some(begun);
    }
}

impl Counts {
    /// Returns how long renewals took since this was last asked.
    pub(crate) fn take_renewals(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.renewals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn every(period: Duration, first: Instant) -> Interval {
    let mut ticks = interval_at(first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
