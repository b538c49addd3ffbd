//! Follow the routing snapshot: a watch as a hint, a full read as the truth.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::wire::cell::CellRecord;
use topology::wire::placement::PlacementRecord;
use topology::wire::{Malformed, key};
use topology::{Snapshot, Version};
use tracing::{info, warn};

use crate::Etcd;
use crate::etcd::Stored;
use crate::last_known_good::LastKnownGood;

/// How often everything is read again, wake-up or not: a lost watch event costs at most this. A
/// little different in each process, so that they do not all ask at once.
const PERIOD: Duration = Duration::from_secs(2);
/// A snapshot is called stale when etcd has not confirmed it for this long.
const STALE_AFTER: Duration = Duration::from_secs(6);

/// What to route by, and whether etcd has confirmed it lately.
#[derive(Clone, Debug)]
pub struct Followed {
    pub snapshot: Arc<Snapshot>,
    pub stale: bool,
}

/// Keeps the latest snapshot that may be used.
pub struct Follower {
    etcd: Etcd,
    kept: LastKnownGood,
    out: watch::Sender<Option<Followed>>,
}

impl Follower {
    /// Starts from the newest valid snapshot on disk, if there is one.
    pub fn open(etcd: Etcd, folder: PathBuf) -> anyhow::Result<Self> {
        let kept = LastKnownGood::open(folder)?;
        let newest =
            kept.newest().map(|snapshot| Followed { snapshot: Arc::new(snapshot), stale: true });
        if let Some(followed) = &newest {
            info!(version = %followed.snapshot.version, "serving by the last known good snapshot");
        }
        Ok(Self { etcd, kept, out: watch::channel(newest).0 })
    }

    #[must_use]
    pub fn latest(&self) -> watch::Receiver<Option<Followed>> {
        self.out.subscribe()
    }

    /// Follows until stopped. etcd being gone is no failure: the latest snapshot stays.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let wake = Notify::new();
        let prefixes = [key::PLACEMENT, key::CELLS];
        tokio::select! {
            () = self.etcd.hint(&prefixes, &wake, &stop) => {}
            () = self.read_again_and_again(&prefixes, &wake, &stop) => {}
        }
        Ok(())
    }

    async fn read_again_and_again(
        &self,
        prefixes: &[&str],
        wake: &Notify,
        stop: &CancellationToken,
    ) {
        let mut confirmed = Instant::now();
        let mut trouble = None;
        while !stop.is_cancelled() {
            let now = match self.etcd.read(prefixes).await {
                Ok(stored) => {
                    confirmed = Instant::now();
                    self.offer(&stored).err()
                }
                Err(err) => Some(err.to_string()),
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
                () = tokio::time::sleep(PERIOD + jitter()) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Applies what was read, unless it must not replace what is in use (I2). Checked here, when
    /// applying: what was newest when it was read may have been overtaken.
    fn offer(&self, stored: &[Stored]) -> Result<(), String> {
        let offered = assemble(stored).map_err(|err| err.to_string())?;
        let Some(offered) = offered else { return Ok(()) };
        let current = self.out.borrow().clone();
        let refused = match &current {
            Some(current) if *current.snapshot == offered => {
                self.mark(false);
                return Ok(());
            }
            Some(current) => offered.may_replace(&current.snapshot),
            None => offered.check(),
        };
        refused.map_err(|refusal| format!("snapshot {} refused: {refusal}", offered.version))?;
        info!(version = %offered.version, "snapshot applied");
        let snapshot = Arc::new(offered);
        let followed = Followed { snapshot: Arc::clone(&snapshot), stale: false };
        self.out.send_replace(Some(followed));
        // Served first, kept second: a slow disk must not delay a failover.
        self.kept.keep(&snapshot).map_err(|err| format!("{err:#}"))
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

/// Makes a snapshot of what is stored; `None` while the platform has not been set up.
fn assemble(stored: &[Stored]) -> Result<Option<Snapshot>, Malformed> {
    let mut placement = None;
    let mut cells = BTreeMap::new();
    let mut version = Version::default();
    for entry in stored {
        if entry.key == key::PLACEMENT {
            let record: PlacementRecord = serde_json::from_slice(&entry.value)?;
            placement = Some(record.into_placement(entry.version)?);
        } else if let Some(cell) = entry.key.strip_prefix(key::CELLS) {
            let record: CellRecord = serde_json::from_slice(&entry.value)?;
            cells.insert(cell.parse()?, record.try_into()?);
        }
        version = version.max(entry.version);
    }
    // At first start the placement is written before the cells it names: not a snapshot yet.
    let complete = placement
        .as_ref()
        .is_some_and(|placement| placement.cells().iter().all(|cell| cells.contains_key(cell)));
    Ok(placement.filter(|_| complete).map(|placement| Snapshot { version, placement, cells }))
}
