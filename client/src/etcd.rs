//! etcd with short deadlines: one member after the other, the nearest first.
//!
//! Safety rests on [`Etcd::put_if`] alone. Reads may be stale on old versions of etcd, and a watch
//! may lose events: both are hints, and every decision made from them is checked again by the
//! transaction that carries it out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, GetOptions, Txn, TxnOp, TxnOpResponse, WatchOptions,
};
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// How long one member is waited for: half a renewal period of the lease, and below etcd's own
/// five seconds, during which it would keep a request over an election.
pub const TRY: Duration = Duration::from_millis(250);
/// HTTP/2 pings on idle connections: a member that died silently is noticed by the watch.
const PING: Duration = Duration::from_secs(1);
/// Pause before a broken watch is opened again; the periodic read goes on meanwhile.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// A handle on the cluster. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct Etcd {
    members: Arc<[Member]>,
    /// The member that answered last.
    preferred: Arc<AtomicUsize>,
}

struct Member {
    endpoint: String,
    client: OnceCell<Client>,
}

/// A stored value and the revision that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: String,
    pub value: Vec<u8>,
    pub revision: u64,
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
        let members = endpoints
            .into_iter()
            .map(|endpoint| Member { endpoint, client: OnceCell::new() })
            .collect();
        Self { members, preferred: Arc::new(AtomicUsize::new(0)) }
    }

    /// Reads everything under these prefixes, at one revision.
    pub async fn read(&self, prefixes: &[&str]) -> Result<Vec<Stored>, EtcdError> {
        let gets: Vec<TxnOp> = prefixes
            .iter()
            .map(|prefix| TxnOp::get(*prefix, Some(GetOptions::new().with_prefix())))
            .collect();
        let response = self.txn(&Txn::new().and_then(gets)).await?;
        let mut entries = Vec::new();
        for response in response.op_responses() {
            let TxnOpResponse::Get(found) = response else { continue };
            entries.extend(found.kvs().iter().map(|kv| Stored {
                key: String::from_utf8_lossy(kv.key()).into_owned(),
                value: kv.value().to_vec(),
                revision: u64::try_from(kv.mod_revision()).unwrap_or(0),
            }));
        }
        Ok(entries)
    }

    /// Writes without a condition: for reports that nothing rests on.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<(), EtcdError> {
        let txn = Txn::new().and_then([TxnOp::put(key, value.into(), None)]);
        self.txn(&txn).await.map(|_| ())
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
        let compares: Vec<Compare> = expected
            .iter()
            .map(|(key, revision)| {
                let revision = i64::try_from(*revision).unwrap_or(i64::MAX);
                Compare::mod_revision(*key, CompareOp::Equal, revision)
            })
            .collect();
        let txn = Txn::new()
            .when(compares)
            .and_then([TxnOp::put(key, value.to_vec(), None)])
            .or_else([TxnOp::get(key, None)]);
        let response = self.txn(&txn).await?;
        if response.succeeded() {
            let revision = response.header().map_or(0, etcd_client::ResponseHeader::revision);
            return Ok(PutIf::Done { revision: u64::try_from(revision).unwrap_or(0) });
        }
        let ours = response.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(found) => found
                .kvs()
                .first()
                .filter(|kv| kv.value() == value)
                .map(etcd_client::KeyValue::mod_revision),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        Ok(ours.map_or(PutIf::Stale, |revision| PutIf::Done {
            revision: u64::try_from(revision).unwrap_or(0),
        }))
    }

    /// Wakes the waiter at each change under the prefixes, and once after each reconnection, until
    /// stopped. Only a hint: the waiter reads everything again.
    pub async fn hint(&self, prefixes: &[&str], wake: &Notify, stop: &CancellationToken) {
        let mut turn = self.preferred.load(Ordering::Relaxed);
        while !stop.is_cancelled() {
            let member = &self.members[turn % self.members.len()];
            tokio::select! {
                ended = member.hint(prefixes, wake) => {
                    debug!(endpoint = member.endpoint, reason = ended, "watch ended");
                }
                () = stop.cancelled() => return,
            }
            turn += 1;
            wake.notify_one();
            tokio::time::sleep(WATCH_PAUSE).await;
        }
    }

    async fn txn(&self, txn: &Txn) -> Result<etcd_client::TxnResponse, EtcdError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failure = None;
        for turn in 0..self.members.len() {
            let index = (first + turn) % self.members.len();
            match self.members[index].txn(txn.clone()).await {
                Ok(response) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(response);
                }
                Err(err) => failure = Some(err),
            }
        }
        Err(failure.expect("there is at least one member"))
    }
}

impl Member {
    async fn client(&self) -> Result<Client, EtcdError> {
        let connect = || async {
            let options = ConnectOptions::new()
                .with_connect_timeout(TRY)
                .with_keep_alive(PING, PING)
                .with_keep_alive_while_idle(true)
                .with_require_leader(true);
            Client::connect([&self.endpoint], Some(options)).await
        };
        match self.client.get_or_try_init(connect).await {
            Ok(client) => Ok(client.clone()),
            Err(err) => Err(self.failed(err.to_string())),
        }
    }

    async fn txn(&self, txn: Txn) -> Result<etcd_client::TxnResponse, EtcdError> {
        let mut client = self.client().await?;
        match tokio::time::timeout(TRY, client.txn(txn)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(err)) => Err(self.failed(err.to_string())),
            Err(_) => Err(self.failed(format!("no answer within {TRY:?}"))),
        }
    }

    /// Watches until something ends it, and returns what.
    async fn hint(&self, prefixes: &[&str], wake: &Notify) -> String {
        match self.watch(prefixes, wake).await {
            Ok(()) => "closed".to_owned(),
            Err(reason) => reason,
        }
    }

    async fn watch(&self, prefixes: &[&str], wake: &Notify) -> Result<(), String> {
        let mut client = self.client().await.map_err(|err| err.to_string())?;
        let options = || Some(WatchOptions::new().with_prefix());
        let Some((first, rest)) = prefixes.split_first() else { return Ok(()) };
        let opening = tokio::time::timeout(TRY, client.watch(*first, options())).await;
        let mut stream = opening.map_err(|err| err.to_string())?.map_err(|err| err.to_string())?;
        for prefix in rest {
            stream.watch(*prefix, options()).await.map_err(|err| err.to_string())?;
        }
        while let Some(response) = stream.message().await.map_err(|err| err.to_string())? {
            if response.canceled() {
                return Err(response.cancel_reason().to_owned());
            }
            wake.notify_one();
        }
        Ok(())
    }

    fn failed(&self, reason: String) -> EtcdError {
        EtcdError { endpoint: self.endpoint.clone(), reason }
    }
}
