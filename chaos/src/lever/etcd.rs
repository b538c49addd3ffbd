//! The lever's key in etcd. Each question has a bound, since etcd may be what a drill has broken.

use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use tokio::time::{sleep, timeout};
use topology::wire::key;
use topology::wire::lever::LeverRecord;

use super::unknown;
use crate::platform::Platform;

/// Between two looks: a drill is stopped within a second of the pull.
const LOOK: Duration = Duration::from_millis(500);
/// Longer than the farthest regions are apart, there and back and again, and no longer than anybody who pulls it
/// should wait.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Key {
    etcd: Etcd,
}

impl Key {
    pub(crate) fn of(platform: &Platform) -> Self {
        let spec = &platform.spec;
        Self { etcd: Etcd::connect(spec.etcd_endpoints(None)).over(spec.round_trip) }
    }

    /// Returns who pulled it, and why; `None` if it is not pulled.
    pub(crate) async fn read(&self) -> anyhow::Result<Option<LeverRecord>> {
        let read = timeout(PATIENCE, Box::pin(self.etcd.read(&[key::LEVER])));
        let stored = read.await.context("wait for etcd")?.context("read the lever")?;
        let stored = stored.iter().find(|stored| stored.key == key::LEVER);
        Ok(stored.and_then(|stored| LeverRecord::pulled(&stored.value)))
    }

    /// Writes it, and returns how it was pulled before, if it was and etcd says so.
    pub(crate) async fn replace(
        &self,
        record: &LeverRecord,
    ) -> anyhow::Result<Option<LeverRecord>> {
        // Only told: that it cannot be read keeps nobody from setting it.
        let before = self.read().await.ok().flatten();
        let value = serde_json::to_vec(record).expect("a record is plain JSON");
        let put = timeout(PATIENCE, Box::pin(self.etcd.put(key::LEVER, value)));
        put.await.context("wait for etcd")?.context("write the lever")?;
        Ok(before)
    }

    /// Returns only once it is pulled there, and why. `say` is told when nobody knows any more, and when somebody
    /// does again.
    pub(crate) async fn until_pulled(&self, say: impl Fn(&str)) -> String {
        let mut is_known = true;
        loop {
            match self.read().await {
                Ok(Some(record)) => return record.reason,
                Ok(None) if !is_known => {
                    is_known = true;
                    say("etcd answers again: the lever is released there");
                }
                Err(why) if is_known => {
                    is_known = false;
                    say(&unknown(&format!("failed to {why:#}")));
                }
                Ok(None) | Err(_) => {}
            }
            sleep(LOOK).await;
        }
    }
}
