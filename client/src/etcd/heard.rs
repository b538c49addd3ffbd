//! Hears of changes, and reads them where they were heard of.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{EventType, GetOptions, TxnOp, WatchResponse};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::Version;
use tracing::debug;

use super::order::NEAREST;
use super::{Etcd, EtcdError, Stored, reading, unsigned, version};

/// Pause before a broken watch is opened again; the periodic read goes on meanwhile.
const WATCH_PAUSE: Duration = Duration::from_millis(200);
/// How long a watch is elsewhere at least before it goes back to the nearest member; twice as long each time
/// that it has to leave that again within [`LASTING`].
const LOOK: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_mins(1);
const LASTING: Duration = Duration::from_secs(10);

/// A change that was heard of and not read yet. The member that told of it has it: reading it there
/// takes no way to other regions.
#[derive(Debug, Default)]
pub struct Heard {
    /// The member's number, counted from 1; 0 when there is nothing to be read.
    member: AtomicUsize,
    /// For who waits for a majority meanwhile.
    told: Notify,
    /// What is remembered of keys that begin so; of none if it is empty.
    timed: &'static str,
    /// The last version of each that was heard of, and when. As many as there are such keys.
    times: Mutex<BTreeMap<String, (Version, Instant)>>,
}

impl Heard {
    /// Remembers as well when each key with this prefix was heard of.
    #[must_use]
    pub fn timing(prefix: &'static str) -> Self {
        Self { timed: prefix, ..Self::default() }
    }

    /// Returns when this version of a key was heard of: never before it was written, and often before it
    /// is read.
    #[must_use]
    pub fn at(&self, key: &str, version: Version) -> Option<Instant> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.get(key).filter(|(heard, _)| *heard == version).map(|(_, at)| *at)
    }

    /// Remembers what was heard of in this generation of etcd's history. In another one a revision is
    /// another version, and is not found again.
    fn note(&self, response: &WatchResponse, generation: u64) {
        if self.timed.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            let Ok(key) = kv.key_str() else { continue };
            if !key.starts_with(self.timed) {
                continue;
            }
            match event.event_type() {
                EventType::Put => {
                    let version = Version::at(generation, unsigned(kv.mod_revision()));
                    times.insert(key.to_owned(), (version, now));
                }
                EventType::Delete => {
                    times.remove(key);
                }
            }
        }
    }

    /// Returns whether there is a change that nobody has read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.member.load(Ordering::Acquire) > 0
    }

    fn tell(&self, member: usize) {
        self.member.store(member + 1, Ordering::Release);
        self.told.notify_one();
    }

    /// Takes the member that told of a change.
    fn take(&self) -> Option<usize> {
        self.member.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    /// Waits for a member that tells of a change.
    async fn next(&self) -> usize {
        loop {
            if let Some(member) = self.take() {
                return member;
            }
            self.told.notified().await;
        }
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
        let mut look = LOOK;
        while !stop.is_cancelled() {
            let index = turn % self.members.len();
            let member = &self.members[index];
            let tell = |response: &WatchResponse| {
                heard.note(response, self.generation());
                heard.tell(index);
                wake.notify_one();
            };
            let begun = Instant::now();
            tokio::select! {
                ended = member.hint(prefixes, tell, self.patience) => {
                    debug!(endpoint = member.endpoint, reason = ended, "watch ended");
                }
                // Elsewhere each change is heard of, and read, a way between regions later. What comes
                // while it is opened anew is read when it is open.
                () = self.nearest_is_back(index, look) => {
                    debug!(endpoint = member.endpoint, "watch goes back to the nearest member");
                    turn = NEAREST;
                    continue;
                }
                () = stop.cancelled() => return,
            }
            if index == NEAREST {
                member.take_for_answering(false);
                look = if begun.elapsed() < LASTING { (look * 2).min(LOOK_MAX) } else { LOOK };
            }
            turn += 1;
            wake.notify_one();
            tokio::time::sleep(WATCH_PAUSE).await;
        }
    }

    /// Returns once requests are answered by the nearest member again, which is not this one.
    async fn nearest_is_back(&self, index: usize, look: Duration) {
        if index == NEAREST {
            return pending().await;
        }
        loop {
            tokio::time::sleep(look).await;
            if self.members[NEAREST].answers() {
                return;
            }
        }
    }

    /// Reads from the member that told of a change, or from a majority: where none did, where that one
    /// does not answer, or knows less than what was read before.
    ///
    /// What is heard of while the majority is waited for is read as well, and the first answer counts: a
    /// member asks a new leader only half a second after it has lost one.
    async fn get_heard(
        &self,
        heard: &Heard,
        gets: impl Fn(fn(GetOptions) -> GetOptions) -> Vec<TxnOp>,
    ) -> Result<Vec<Stored>, EtcdError> {
        if let Some(member) = heard.take()
            && let Some(found) = self.get_at(member, gets(GetOptions::with_serializable)).await
        {
            return Ok(found);
        }
        let told = async {
            loop {
                let gets = gets(GetOptions::with_serializable);
                if let Some(found) = self.get_at(heard.next().await, gets).await {
                    return found;
                }
            }
        };
        tokio::select! {
            found = self.get(gets(|options| options)) => found,
            found = told => Ok(found),
        }
    }

    /// Reads what one member has; `None` if it does not answer or knows less than was read before.
    async fn get_at(&self, index: usize, gets: Vec<TxnOp>) -> Option<Vec<Stored>> {
        let member = self.members.get(index)?;
        let (txn, asked) = reading(gets, true);
        let response = member.txn(txn, self.patience).await.ok()?;
        let is_news = version(&response).0 >= self.read_at.load(Ordering::Acquire);
        is_news.then(|| self.found(&response, asked))
    }
}

#[cfg(test)]
mod tests {
    use super::Heard;

    #[tokio::test]
    async fn a_change_is_taken_once_by_who_waits_for_it_and_by_who_comes_later() {
        let heard = Heard::default();
        let (waited, ()) = tokio::join!(heard.next(), async { heard.tell(2) });
        assert_eq!((waited, heard.take(), heard.is_unread()), (2, None, false));
        heard.tell(0);
        assert_eq!((heard.take(), heard.take()), (Some(0), None));
        heard.tell(1);
        assert_eq!(heard.next().await, 1);
    }
}
