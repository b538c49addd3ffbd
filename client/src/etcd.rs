//! etcd with short deadlines: one member after the other, the nearest first.
//!
//! Safety rests on [`Etcd::put_if`] alone. Reads may be stale on old versions of etcd, and a watch
//! may lose events: both are hints, and every decision made from them is checked again by the
//! transaction that carries it out.
//!
//! etcd itself may lose what it had said: restored from an older copy, it counts its revisions from
//! there again. A write that comes back below an earlier one proves that; this handle then begins
//! the next generation, and versions go on growing ([`Version`]).

mod heard;
mod lead;
mod member;
mod order;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, SortOrder, SortTarget, Txn, TxnOp,
    TxnOpResponse, TxnResponse,
};
use tokio::time::Instant;
use topology::Version;
use topology::wire::generation::GenerationRecord;
use topology::wire::key;
use tracing::{debug, error, warn};

pub use self::heard::Heard;
pub use self::lead::Standing;
use self::member::Member;
use self::order::order;
use crate::generation::Progress;

/// How long one member is waited for beside what the way takes: half a renewal period of the lease,
/// and below etcd's own five seconds, during which it would keep a request over an election.
pub const TRY: Duration = Duration::from_millis(250);
/// How often a request crosses between regions and back: a follower asks its leader, and the leader
/// asks for a majority, before anything is read or written.
const CROSSINGS: u32 = 2;
/// How often a new generation is tried to be begun after one write: others may be at it too. The
/// next write tries again.
const GENERATION_TRIES: usize = 3;

/// A handle on the cluster. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct Etcd {
    members: Arc<[Member]>,
    /// The member that answered last.
    preferred: Arc<AtomicUsize>,
    progress: Arc<Progress>,
    /// How long one member is waited for.
    patience: Duration,
    /// The latest version that anything was read at.
    read_at: Arc<AtomicU64>,
}

/// A stored value and what wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: String,
    pub value: Vec<u8>,
    /// What a conditional write compares.
    pub revision: u64,
    /// What decides which of two is newer.
    pub version: Version,
}

/// Where a write ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What a conditional write compares.
    pub revision: u64,
    /// What decides which of two is newer.
    pub version: Version,
}

/// What a conditional write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutIf {
    /// Written, or found written by an earlier try whose answer was lost.
    Done { revision: u64 },
    /// Somebody else changed one of the keys: read again, decide again.
    Stale,
}

/// No member answered in time. Whether a write happened is unknown.
#[derive(Debug, thiserror::Error)]
#[error("ask etcd at {endpoint}: {reason}")]
pub struct EtcdError {
    endpoint: String,
    reason: String,
}

impl Etcd {
    /// Makes a handle on these members, the nearest first. Connects later: etcd may not be there.
    ///
    /// # Panics
    ///
    /// Panics without an endpoint: a spec has at least one region.
    #[must_use]
    pub fn connect(endpoints: Vec<String>) -> Self {
        assert!(!endpoints.is_empty(), "etcd has at least one member");
        let members = endpoints.into_iter().map(Member::new).collect();
        let (preferred, progress) = (Arc::default(), Arc::default());
        let read_at = Arc::default();
        Self { members, preferred, progress, patience: TRY, read_at }
    }

    /// Waits for members as long as regions take that are so far apart, there and back.
    #[must_use]
    pub fn over(self, round_trip: Duration) -> Self {
        Self { patience: TRY + round_trip * CROSSINGS, ..self }
    }

    /// Returns the latest generation of etcd's history that this handle has heard of.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.progress.highest().generation()
    }

    /// Reads everything under these prefixes, at one revision.
    pub async fn read(&self, prefixes: &[&str]) -> Result<Vec<Stored>, EtcdError> {
        let gets = prefixes
            .iter()
            .map(|prefix| TxnOp::get(*prefix, Some(GetOptions::new().with_prefix())));
        self.get(gets.collect()).await
    }

    /// Reads the last keys under a prefix, the last one first.
    pub async fn read_last(&self, prefix: &str, limit: u16) -> Result<Vec<Stored>, EtcdError> {
        self.get_last(prefix, GetOptions::new().with_prefix(), limit).await
    }

    /// Reads the same without their values.
    pub async fn read_last_keys(&self, prefix: &str, limit: u16) -> Result<Vec<String>, EtcdError> {
        let range = GetOptions::new().with_prefix().with_keys_only();
        let found = self.get_last(prefix, range, limit).await?;
        Ok(found.into_iter().map(|stored| stored.key).collect())
    }

    /// Reads the same, of what comes before `end`.
    pub async fn read_last_before(
        &self,
        prefix: &str,
        end: &str,
        limit: u16,
    ) -> Result<Vec<Stored>, EtcdError> {
        self.get_last(prefix, GetOptions::new().with_range(end), limit).await
    }

    async fn get_last(
        &self,
        first: &str,
        range: GetOptions,
        limit: u16,
    ) -> Result<Vec<Stored>, EtcdError> {
        let options = range.with_sort(SortTarget::Key, SortOrder::Descend).with_limit(limit.into());
        self.get(vec![TxnOp::get(first, Some(options))]).await
    }

    async fn get(&self, gets: Vec<TxnOp>) -> Result<Vec<Stored>, EtcdError> {
        let (txn, asked) = reading(gets, false);
        let response = self.txn(&txn).await?;
        Ok(self.found(&response, asked))
    }

    /// Returns what a transaction of this many reads has found.
    fn found(&self, response: &TxnResponse, asked: usize) -> Vec<Stored> {
        self.read_at.fetch_max(version(response).0, Ordering::AcqRel);
        let generation = generation(response).number;
        self.progress.read(generation);
        let mut entries = Vec::new();
        for response in response.op_responses().into_iter().take(asked) {
            let TxnOpResponse::Get(found) = response else { continue };
            entries.extend(found.kvs().iter().map(|kv| {
                let revision = unsigned(kv.mod_revision());
                Stored {
                    key: String::from_utf8_lossy(kv.key()).into_owned(),
                    value: kv.value().to_vec(),
                    revision,
                    version: Version::at(generation, revision),
                }
            }));
        }
        entries
    }

    /// Writes without a condition: for reports that nothing rests on.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<(), EtcdError> {
        let put = TxnOp::put(key, value.into(), None);
        let txn = Txn::new().and_then([put, TxnOp::get(key::GENERATION, None)]);
        self.write(&txn).await.map(|_| ())
    }

    /// Removes the keys from `first` on that come before `end`.
    pub async fn remove(&self, first: &str, end: &str) -> Result<(), EtcdError> {
        let remove = TxnOp::delete(first, Some(DeleteOptions::new().with_range(end)));
        let txn = Txn::new().and_then([remove, TxnOp::get(key::GENERATION, None)]);
        self.write(&txn).await.map(|_| ())
    }

    /// Removes the first keys under a prefix, so that the last `kept` stay.
    pub async fn shorten(&self, prefix: &str, kept: u16) -> Result<(), EtcdError> {
        let last = self.read_last_keys(prefix, kept).await?;
        match last.last() {
            Some(oldest) if last.len() == usize::from(kept) => self.remove(prefix, oldest).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Writes `key` if each of the `expected` keys is still at its revision (0: does not exist).
    ///
    /// A try whose answer was lost is found again by its value; make values unique where two
    /// writers could write the same.
    pub async fn put_if(
        &self,
        key: &str,
        value: &[u8],
        expected: &[(&str, u64)],
    ) -> Result<PutIf, EtcdError> {
        let written = self.swap(key, value, expected).await?;
        Ok(written.map_or(PutIf::Stale, |written| PutIf::Done { revision: written.revision }))
    }

    /// The same, for those who compare what they wrote with what they read: `None` if somebody else
    /// changed one of the keys.
    pub async fn swap(
        &self,
        key: &str,
        value: &[u8],
        expected: &[(&str, u64)],
    ) -> Result<Option<Written>, EtcdError> {
        let compares: Vec<Compare> = expected
            .iter()
            .map(|(key, revision)| {
                let revision = i64::try_from(*revision).unwrap_or(i64::MAX);
                Compare::mod_revision(*key, CompareOp::Equal, revision)
            })
            .collect();
        let generation_now = || TxnOp::get(key::GENERATION, None);
        let txn = Txn::new()
            .when(compares)
            .and_then([TxnOp::put(key, value.to_vec(), None), generation_now()])
            .or_else([TxnOp::get(key, None), generation_now()]);
        let (response, version) = self.write(&txn).await?;
        if response.succeeded() {
            return Ok(Some(Written { revision: revision(&response), version }));
        }
        let ours = response.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(found) => found
                .kvs()
                .first()
                .filter(|kv| kv.value() == value)
                .map(etcd_client::KeyValue::mod_revision),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        Ok(ours.map(|revision| {
            let revision = unsigned(revision);
            Written { revision, version: Version::at(version.generation(), revision) }
        }))
    }

    /// Carries out a transaction that writes and reads the generation, and learns from where it ended
    /// up whether etcd has gone back since the write before.
    async fn write(&self, txn: &Txn) -> Result<(TxnResponse, Version), EtcdError> {
        let before = self.progress.highest();
        let response = self.txn(txn).await?;
        let now = version(&response);
        if response.succeeded() {
            self.progress.wrote(before, now);
            if let Some(lost) = self.progress.lost() {
                self.begin_generation(lost).await;
            }
        }
        Ok((response, now))
    }

    /// Begins the generation after the one that `lost` is of, unless somebody else has.
    async fn begin_generation(&self, lost: Version) {
        error!(floor = lost.revision(), generation = lost.generation(), "etcd went back in time");
        for _ in 0..GENERATION_TRIES {
            match self.try_begin_generation(lost).await {
                Ok(Some(number)) => {
                    self.progress.read(number);
                    warn!(generation = number, "a new generation of etcd's history has begun");
                    return;
                }
                Ok(None) => {}
                Err(err) => debug!(error = %err, "generation not begun"),
            }
        }
    }

    /// Returns the generation that has begun, or `None` if somebody else was at it.
    async fn try_begin_generation(&self, lost: Version) -> Result<Option<u64>, EtcdError> {
        let read = Txn::new().and_then([TxnOp::get(key::GENERATION, None)]);
        let response = self.txn(&read).await?;
        let stored = generation(&response);
        if stored.number > lost.generation() {
            return Ok(Some(stored.number));
        }
        let number = lost.generation() + 1;
        let record = GenerationRecord { number, floor: lost.revision() };
        let value = serde_json::to_vec(&record).expect("a generation is plain JSON");
        let unchanged = Compare::mod_revision(
            key::GENERATION,
            CompareOp::Equal,
            generation_revision(&response),
        );
        let txn = Txn::new().when([unchanged]).and_then([TxnOp::put(key::GENERATION, value, None)]);
        Ok(self.txn(&txn).await?.succeeded().then_some(number))
    }

    /// Asks one member after the other.
    async fn txn(&self, txn: &Txn) -> Result<TxnResponse, EtcdError> {
        let failures: Vec<_> = self.members.iter().map(Member::last_failure).collect();
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut failure = None;
        for index in order(&failures, preferred, Instant::now()) {
            match self.members[index].txn(txn.clone(), self.patience).await {
                Ok(response) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    self.members[index].take_for_answering(true);
                    return Ok(response);
                }
                Err(err) => {
                    self.members[index].take_for_answering(false);
                    failure = Some(err);
                }
            }
        }
        Err(failure.expect("there is at least one member"))
    }
}

/// Returns a transaction of these reads and that of the generation, and how many they are without it.
fn reading(mut gets: Vec<TxnOp>, serializable: bool) -> (Txn, usize) {
    let asked = gets.len();
    let generation = serializable.then(|| GetOptions::new().with_serializable());
    gets.push(TxnOp::get(key::GENERATION, generation));
    (Txn::new().and_then(gets), asked)
}

/// Returns the version that a transaction ended up at, which read the generation last.
fn version(response: &TxnResponse) -> Version {
    Version::at(generation(response).number, revision(response))
}

/// Returns the revision that a transaction ended up at.
fn revision(response: &TxnResponse) -> u64 {
    unsigned(response.header().map_or(0, etcd_client::ResponseHeader::revision))
}

/// Returns the generation that a transaction's last operation read. One that nobody understands
/// counts as none: it is behind what is known, and is begun anew.
fn generation(response: &TxnResponse) -> GenerationRecord {
    last_get(response).and_then(|kv| serde_json::from_slice(kv.value()).ok()).unwrap_or_default()
}

fn generation_revision(response: &TxnResponse) -> i64 {
    last_get(response).map_or(0, |kv| etcd_client::KeyValue::mod_revision(&kv))
}

fn last_get(response: &TxnResponse) -> Option<etcd_client::KeyValue> {
    match response.op_responses().pop() {
        Some(TxnOpResponse::Get(found)) => found.kvs().first().cloned(),
        Some(TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_)) | None => {
            None
        }
    }
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}
