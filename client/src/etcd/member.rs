//! One member of the cluster: its connection, and when it failed last.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Txn, TxnResponse, WatchOptions, WatchResponse};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::EtcdError;
use super::order::Failure;

/// HTTP/2 pings on idle connections: a member that died silently is noticed by the watch.
const PING: Duration = Duration::from_secs(1);

pub(super) struct Member {
    pub(super) endpoint: String,
    client: OnceCell<Client>,
    failed: Mutex<Option<Failure>>,
}

impl Member {
    pub(super) fn new(endpoint: String) -> Self {
        Self { endpoint, client: OnceCell::new(), failed: Mutex::default() }
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

    pub(super) fn last_failure(&self) -> Option<Failure> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
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
