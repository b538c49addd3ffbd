//! Hears of changes, and reads them where they were heard of.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{GetOptions, TxnOp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Etcd, EtcdError, Stored, reading, version};

/// Pause before a broken watch is opened again; the periodic read goes on meanwhile.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// A change that was heard of and not read yet. The member that told of it has it: reading it there
/// takes no way to other regions.
#[derive(Debug, Default)]
pub struct Heard {
    /// The member's number, counted from 1; 0 when there is nothing to be read.
    member: AtomicUsize,
}

impl Heard {
    /// Returns whether there is a change that nobody has read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.member.load(Ordering::Acquire) > 0
    }
}

impl Etcd {
    /// Reads everything under these prefixes where a change was heard of, or from a majority if none was
    /// since the last time.
    pub async fn read_heard(
        &self,
        heard: &Heard,
        prefixes: &[&str],
    ) -> Result<Vec<Stored>, EtcdError> {
        let options = || GetOptions::new().with_prefix();
        self.get_heard(heard, |more| {
            prefixes.iter().map(|prefix| TxnOp::get(*prefix, Some(more(options())))).collect()
        })
        .await
    }

    /// The same, but of what is under `seldom` only what was written after `revision`.
    pub async fn read_after(
        &self,
        heard: &Heard,
        prefixes: &[&str],
        (seldom, revision): (&str, u64),
    ) -> Result<Vec<Stored>, EtcdError> {
        let after = i64::try_from(revision).unwrap_or(i64::MAX).saturating_add(1);
        let options = |prefix: &str| {
            let options = GetOptions::new().with_prefix();
            if prefix == seldom { options.with_min_mod_revision(after) } else { options }
        };
        self.get_heard(heard, |more| {
            prefixes.iter().map(|prefix| TxnOp::get(*prefix, Some(more(options(prefix))))).collect()
        })
        .await
    }

    /// Wakes the waiter at each change under the prefixes, and once after each reconnection, until
    /// stopped. Only a hint: the waiter reads everything again, from the member that told it.
    pub async fn hint(
        &self,
        prefixes: &[&str],
        heard: &Heard,
        wake: &Notify,
        stop: &CancellationToken,
    ) {
        let mut turn = self.preferred.load(Ordering::Relaxed);
        while !stop.is_cancelled() {
            let index = turn % self.members.len();
            let member = &self.members[index];
            let tell = || {
                heard.member.store(index + 1, Ordering::Release);
                wake.notify_one();
            };
            tokio::select! {
                ended = member.hint(prefixes, tell, self.patience) => {
                    debug!(endpoint = member.endpoint, reason = ended, "watch ended");
                }
                () = stop.cancelled() => return,
            }
            turn += 1;
            wake.notify_one();
            tokio::time::sleep(WATCH_PAUSE).await;
        }
    }

    /// Reads from the member that told of a change, or from a majority: where none did, where that one
    /// does not answer, or knows less than what was read before.
    async fn get_heard(
        &self,
        heard: &Heard,
        gets: impl Fn(fn(GetOptions) -> GetOptions) -> Vec<TxnOp>,
    ) -> Result<Vec<Stored>, EtcdError> {
        let told = heard.member.swap(0, Ordering::AcqRel).checked_sub(1);
        if let Some(member) = told.and_then(|index| self.members.get(index)) {
            let (txn, asked) = reading(gets(GetOptions::with_serializable), true);
            if let Ok(response) = member.txn(txn, self.patience).await
                && version(&response).0 >= self.read_at.load(Ordering::Acquire)
            {
                return Ok(self.found(&response, asked));
            }
        }
        self.get(gets(|options| options)).await
    }
}
