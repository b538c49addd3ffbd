//! Follow the routing snapshot: a watch as a hint, a full read as the truth.

mod refused;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::wire::cell::CellRecord;
use topology::wire::placement::PlacementRecord;
use topology::wire::{Malformed, key};
use topology::{Placement, Snapshot, Version};
use tracing::{info, warn};

use crate::Etcd;
use crate::etcd::{Heard, Stored};
use crate::last_known_good::LastKnownGood;
use crate::rollback::Rollback;
pub use refused::Refused;

/// How often everything is read again, wake-up or not: a lost watch event costs at most this. A
/// little different in each process, so that they do not all ask at once.
const PERIOD: Duration = Duration::from_secs(2);
/// How soon a read that failed is repeated at first: users may wait for a cell that has moved, and a member of
/// etcd that is just starting is there a moment later. Twice as late each time, up to [`PERIOD`]: an etcd
/// that is down, or overloaded, is not helped by being asked more often than one that is well.
const AGAIN: Duration = Duration::from_millis(250);
/// A snapshot is called stale when etcd has not confirmed it for this long.
const STALE_AFTER: Duration = Duration::from_secs(6);

/// How soon a rollback is heeded.
const LOOK: Duration = Duration::from_millis(500);

/// What to route by, and whether etcd has confirmed it lately.
#[derive(Clone, Debug)]
pub struct Followed {
    pub snapshot: Arc<Snapshot>,
    pub stale: bool,
    /// While a person has it rolled back.
    pub rolled_back: Option<RolledBack>,
}

/// What a snapshot in use was made from.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// What would be in use.
    pub from: Arc<Snapshot>,
    /// The generation whose placement and addresses are in use instead.
    pub to: Version,
}

impl Followed {
    fn new(snapshot: Arc<Snapshot>, stale: bool) -> Self {
        Self { snapshot, stale, rolled_back: None }
    }

    /// Returns the newest snapshot there was, rolled back or not: what the next one is held against.
    fn newest(&self) -> &Arc<Snapshot> {
        self.rolled_back.as_ref().map_or(&self.snapshot, |back| &back.from)
    }
}

/// Keeps the latest snapshot that may be used.
pub struct Follower {
    etcd: Etcd,
    kept: LastKnownGood,
    out: watch::Sender<Option<Followed>>,
    refused: watch::Sender<Refused>,
    /// The snapshot in use is not on disk, where there may be room again.
    unkept: AtomicBool,
}

impl Follower {
    /// Starts from the newest valid snapshot on disk, if there is one.
    pub fn open(etcd: Etcd, folder: PathBuf) -> anyhow::Result<Self> {
        let kept = LastKnownGood::open(folder)?;
        let newest = kept.newest().map(|snapshot| Followed::new(Arc::new(snapshot), true));
        if let Some(followed) = &newest {
            info!(version = %followed.snapshot.version, "serving by the last known good snapshot");
        }
        let refused = watch::channel(Refused::default()).0;
        let (out, unkept) = (watch::channel(newest).0, AtomicBool::new(false));
        let follower = Self { etcd, kept, out, refused, unkept };
        // A bad order must not keep a process from starting.
        if let Err(err) = follower.heed_rollback() {
            let error = format!("{err:#}");
            warn!(error, "rollback not heeded");
        }
        Ok(follower)
    }

    /// Returns what was offered and not used, as it changes.
    #[must_use]
    pub fn refused(&self) -> watch::Receiver<Refused> {
        self.refused.subscribe()
    }

    #[must_use]
    pub fn latest(&self) -> watch::Receiver<Option<Followed>> {
        self.out.subscribe()
    }

    /// Follows until stopped. etcd being gone is no failure: the latest snapshot stays.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (wake, heard) = (Notify::new(), Heard::default());
        let prefixes = [key::PLACEMENT, key::CELLS];
        tokio::select! {
            () = self.etcd.hint(&prefixes, &heard, &wake, &stop) => {}
            () = self.read_again_and_again(&prefixes, (&heard, &wake), &stop) => {}
            () = self.look_for_rollbacks() => {}
        }
        Ok(())
    }

    async fn read_again_and_again(
        &self,
        prefixes: &[&str],
        (heard, wake): (&Heard, &Notify),
        stop: &CancellationToken,
    ) {
        let mut confirmed = Instant::now();
        let mut trouble = None;
        let mut placed: Option<Placed> = None;
        let mut whole_at = Instant::now();
        let mut again = AGAIN;
        while !stop.is_cancelled() {
            let known = placed.as_ref().filter(|_| Instant::now() < whole_at);
            let known = known.map(|known| (known.revision, known.placement.version()));
            let read = if let Some((revision, _)) = known {
                // Users wait for the cell that has moved, and the placement is large.
                self.etcd.read_after(heard, prefixes, (key::PLACEMENT, revision)).await
            } else {
                whole_at = Instant::now() + PERIOD + jitter();
                self.etcd.read(prefixes).await
            };
            if let (Some((_, placed_at)), Ok(stored)) = (known, &read)
                && newest_of(stored) < placed_at
            {
                // etcd has gone back in time, and what it said of the placement with it.
                whole_at = Instant::now();
                continue;
            }
            let now = match read {
                Ok(stored) => {
                    (confirmed, again) = (Instant::now(), AGAIN);
                    self.take(&stored, &mut placed).await.err()
                }
                Err(err) => {
                    whole_at = Instant::now() + again + jitter();
                    again = (again * 2).min(PERIOD);
                    Some(err.to_string())
                }
            };
            match (&trouble, &now) {
                (_, None) | (Some(_), Some(_)) => {}
                (None, Some(error)) => warn!(error, "snapshot not refreshed"),
            }
            trouble = now;
            // Only `offer` takes the mark away: what came from disk is stale until etcd confirms it.
            if trouble.is_some() && confirmed.elapsed() > STALE_AFTER {
                self.mark(true);
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep_until(whole_at) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Heeds rollbacks as they are ordered and taken back, whatever becomes of etcd.
    async fn look_for_rollbacks(&self) {
        let mut trouble = None;
        loop {
            let now = self.heed_rollback().err().map(|err| format!("{err:#}"));
            if let (None, Some(error)) = (&trouble, &now) {
                warn!(error, "rollback not heeded");
            }
            trouble = now;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Brings what is in use in line with the order on disk. An order that a newer version has ended
    /// is removed.
    fn heed_rollback(&self) -> anyhow::Result<()> {
        let Some(followed) = self.out.borrow().clone() else { return Ok(()) };
        let newest = followed.newest();
        let order = Rollback::read(self.kept.folder())?;
        let in_use = followed.rolled_back.as_ref().map(|back| back.to);
        match order {
            Some(order) if order.from < newest.version => Rollback::end(self.kept.folder()),
            Some(order) if in_use != Some(order.to) => {
                let back = self.kept.roll_back(newest, order.to).context("roll back")?;
                info!(from = %newest.version, to = %order.to, "rolled back");
                let rolled_back = Some(RolledBack { from: Arc::clone(newest), to: order.to });
                let snapshot = Arc::new(back);
                self.out.send_replace(Some(Followed {
                    snapshot,
                    stale: followed.stale,
                    rolled_back,
                }));
                Ok(())
            }
            None if in_use.is_some() => {
                info!(version = %newest.version, "rollback taken back");
                let snapshot = Arc::clone(newest);
                self.out.send_replace(Some(Followed::new(snapshot, followed.stale)));
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn take(&self, stored: &[Stored], placed: &mut Option<Placed>) -> Result<(), String> {
        let Some(snapshot) = self.offer(stored, placed)? else { return Ok(()) };
        // Served first, kept second: a slow disk must not delay a failover.
        tokio::task::yield_now().await;
        self.keep(&snapshot)
    }

    /// Applies what was read, unless it must not replace what is in use (I2). Checked here, when
    /// applying: what was newest when it was read may have been overtaken. Returns what is to be kept.
    fn offer(
        &self,
        stored: &[Stored],
        placed: &mut Option<Placed>,
    ) -> Result<Option<Arc<Snapshot>>, String> {
        let offered = match assemble(stored, placed) {
            Ok(Some(offered)) => offered,
            Ok(None) => return Ok(None),
            Err(err) => return Err(self.refuse(newest_of(stored), refused::MALFORMED, &err)),
        };
        let current = self.out.borrow().clone();
        let may = match current.as_ref().map(Followed::newest) {
            Some(newest) if **newest == offered => {
                self.mark(false);
                let unkept = self.unkept.load(Ordering::Relaxed);
                return Ok(unkept.then(|| Arc::clone(newest)));
            }
            Some(newest) => offered.may_replace(newest),
            None => offered.check(),
        };
        may.map_err(|why| self.refuse(offered.version, why.code(), &why))?;
        info!(version = %offered.version, "snapshot applied");
        let snapshot = Arc::new(offered);
        self.out.send_replace(Some(Followed::new(Arc::clone(&snapshot), false)));
        Ok(Some(snapshot))
    }

    fn keep(&self, snapshot: &Snapshot) -> Result<(), String> {
        let kept = self.kept.keep(snapshot);
        self.unkept.store(kept.is_err(), Ordering::Relaxed);
        kept.map_err(|err| format!("{err:#}"))
    }

    /// Counts what was offered and not used, once however often it is read again.
    fn refuse(&self, version: Version, code: &'static str, why: &dyn std::error::Error) -> String {
        let why = format!("snapshot {version} refused: {why}");
        self.refused.send_if_modified(|refused| refused.add(version, code, &why));
        why
    }

    fn mark(&self, stale: bool) {
        self.out.send_if_modified(|followed| match followed {
            Some(followed) if followed.stale != stale => {
                followed.stale = stale;
                true
            }
            Some(_) | None => false,
        });
    }
}

/// Up to a quarter of a second, from the process's id: no randomness is needed to spread a fleet.
fn jitter() -> Duration {
    Duration::from_millis(u64::from(std::process::id() % 250))
}

fn newest_of(stored: &[Stored]) -> Version {
    stored.iter().map(|entry| entry.version).max().unwrap_or_default()
}

/// The placement as last read: it is large, and seldom another one.
struct Placed {
    revision: u64,
    placement: Placement,
}

/// Makes a snapshot of what is stored; `None` while the platform has not been set up. Where no placement
/// was read, because none was written since, it is the one from before.
fn assemble(stored: &[Stored], placed: &mut Option<Placed>) -> Result<Option<Snapshot>, Malformed> {
    let mut cells = BTreeMap::new();
    for entry in stored {
        if entry.key == key::PLACEMENT {
            let is_known = placed.as_ref().is_some_and(|known| {
                known.revision == entry.revision && known.placement.version() == entry.version
            });
            if !is_known {
                *placed = None;
                let record: PlacementRecord = serde_json::from_slice(&entry.value)?;
                let placement = record.into_placement(entry.version)?;
                *placed = Some(Placed { revision: entry.revision, placement });
            }
        } else if let Some(cell) = entry.key.strip_prefix(key::CELLS) {
            let record: CellRecord = serde_json::from_slice(&entry.value)?;
            cells.insert(cell.parse()?, record.try_into()?);
        }
    }
    let Some(Placed { placement, .. }) = placed else { return Ok(None) };
    let version = newest_of(stored).max(placement.version());
    // At first start the placement is written before the cells it names: not a snapshot yet.
    let complete = placement.cells().iter().all(|cell| cells.contains_key(cell));
    let snapshot = || Snapshot { version, placement: placement.clone(), cells };
    Ok(complete.then(snapshot))
}

#[cfg(test)]
mod tests;
