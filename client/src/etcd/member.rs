//! One member of the cluster: its connection, and when it failed last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Txn, TxnResponse, WatchOptions, WatchResponse};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::EtcdError;
use super::lead::Standing;
use super::order::Failure;

/// HTTP/2 pings on idle connections: a member that died silently is noticed by the watch.
const PING: Duration = Duration::from_secs(1);
/// A leader that hands over looks every heartbeat whether it is done, and gives up after an election's time.
const HAND_OVER: Duration = Duration::from_secs(2);

pub(super) struct Member {
    pub(super) endpoint: String,
    client: OnceCell<Client>,
    failed: Mutex<Option<Failure>>,
    /// Whether it has answered the last question for what a majority has, and no watch on it has ended since.
    answers: AtomicBool,
}

impl Member {
    pub(super) fn new(endpoint: String) -> Self {
        let answers = AtomicBool::default();
        Self { endpoint, client: OnceCell::new(), failed: Mutex::default(), answers }
    }

    async fn client(&self, patience: Duration) -> Result<Client, EtcdError> {
        let connect = || async {
            let options = ConnectOptions::new()
                .with_connect_timeout(patience)
                .with_keep_alive(PING, PING)
                .with_keep_alive_while_idle(true)
                .with_require_leader(true);
            Client::connect([&self.endpoint], Some(options)).await
        };
        match self.client.get_or_try_init(connect).await {
            Ok(client) => Ok(client.clone()),
            Err(err) => Err(self.error(err.to_string())),
        }
    }

    pub(super) async fn txn(&self, txn: Txn, patience: Duration) -> Result<TxnResponse, EtcdError> {
        let asked = Instant::now();
        let answer = async {
            let mut client = self.client(patience).await?;
            client.txn(txn).await.map_err(|err| self.error(err.to_string()))
        };
        // The first connection is within the same time.
        let (err, was_silent) = match tokio::time::timeout(patience, answer).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(err)) => (err, asked.elapsed() >= patience),
            Err(_) => (self.error(format!("no answer within {patience:?}")), true),
        };
        let failure = Failure { at: Instant::now(), was_silent };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        Err(err)
    }

    /// Asks the member who it is and who leads.
    pub(super) async fn standing(&self, patience: Duration) -> Option<Standing> {
        let asked = async {
            let mut client = self.client(patience).await.ok()?;
            let status = client.status().await.ok()?;
            Some(Standing { member: status.header()?.member_id(), leader: status.leader() })
        };
        tokio::time::timeout(patience, asked).await.ok().flatten()
    }

    /// Has the member, which leads, hand that over.
    pub(super) async fn hand_lead_to(&self, to: u64, patience: Duration) -> Result<(), EtcdError> {
        let patience = patience + HAND_OVER;
        let asked = async {
            let mut client = self.client(patience).await?;
            client.move_leader(to).await.map_err(|err| self.error(err.to_string()))
        };
        match tokio::time::timeout(patience, asked).await {
            Ok(moved) => moved.map(|_| ()),
            Err(_) => Err(self.error(format!("no answer within {patience:?}: outcome unknown"))),
        }
    }

    pub(super) fn last_failure(&self) -> Option<Failure> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has said what a majority has; or has not, or a watch on it has ended.
    pub(super) fn take_for_answering(&self, answers: bool) {
        self.answers.store(answers, Ordering::Relaxed);
    }

    /// Returns whether it has answered the last question for what a majority has, and no watch on it has
    /// ended since.
    pub(super) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// Watches until something ends it, and returns what.
    pub(super) async fn hint(
        &self,
        prefixes: &[&str],
        tell: impl Fn(&WatchResponse),
        patience: Duration,
    ) -> String {
        match self.watch(prefixes, tell, patience).await {
            Ok(()) => "closed".to_owned(),
            Err(reason) => reason,
        }
    }

    async fn watch(
        &self,
        prefixes: &[&str],
        tell: impl Fn(&WatchResponse),
        patience: Duration,
    ) -> Result<(), String> {
        let mut client = self.client(patience).await.map_err(|err| err.to_string())?;
        let options = || Some(WatchOptions::new().with_prefix());
        let Some((first, rest)) = prefixes.split_first() else { return Ok(()) };
        let opening = tokio::time::timeout(patience, client.watch(*first, options())).await;
        let mut stream = opening.map_err(|err| err.to_string())?.map_err(|err| err.to_string())?;
        for prefix in rest {
            stream.watch(*prefix, options()).await.map_err(|err| err.to_string())?;
        }
        while let Some(response) = stream.message().await.map_err(|err| err.to_string())? {
            if response.canceled() {
                return Err(response.cancel_reason().to_owned());
            }
            tell(&response);
        }
        Ok(())
    }

    fn error(&self, reason: String) -> EtcdError {
        EtcdError { endpoint: self.endpoint.clone(), reason }
    }
}
