//! etcd, a member in each region, as `platform up` starts it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use client::Etcd;
use runtime::HttpClient;
use serde_json::json;
use tokio::time::{Instant, sleep};
use topology::address::Port;
use topology::wire::key;
use topology::{RegionId, Spec};

use crate::process::{Process, Used};
use crate::series::Series;

/// How long the members may take to find each other, on a busy machine.
const START_MAX: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);
/// Compacting minutes of history, and giving the room back.
const COMPACT_MAX: Duration = Duration::from_mins(1);

pub(crate) struct Member {
    pub(crate) region: RegionId,
    address: SocketAddr,
    process: Process,
}

/// What a member says of itself, and what it has used.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) series: Series,
    pub(crate) used: Used,
}

/// What compaction came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction {
    /// Bytes that keys and values need, after it.
    pub(crate) after: f64,
    pub(crate) took: Duration,
}

pub(crate) const SIZE: &str = "etcd_mvcc_db_total_size_in_bytes";
const IN_USE: &str = "etcd_mvcc_db_total_size_in_use_in_bytes";

pub(crate) async fn start(spec: &Spec, folder: &Path) -> anyhow::Result<Vec<Member>> {
    let mut members = Vec::new();
    for region in &spec.regions {
        let data = folder.join(format!("etcd-{}", region.id));
        let arguments = platform::etcd_arguments(spec, &region.id, &data);
        let log = folder.join(format!("etcd-{}.log", region.id));
        let process = Process::start(Path::new("etcd"), arguments, &log)?;
        let address = spec.region_address(&region.id, Port::EtcdClient).context("find a member")?;
        members.push(Member { region: region.id.clone(), address, process });
    }
    let client = Etcd::connect(spec.etcd_endpoints(None));
    let until = Instant::now() + START_MAX;
    while client.read(&[key::GENERATION]).await.is_err() {
        if Instant::now() > until {
            bail!("find a leader in etcd within {START_MAX:?}; see {}", folder.display());
        }
        sleep(LOOK).await;
    }
    Ok(members)
}

impl Member {
    pub(crate) async fn seen(&self, http: &HttpClient) -> anyhow::Result<Seen> {
        Ok(Seen { series: Series::read(http, self.address).await?, used: self.process.used()? })
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Forgets all that is not the newest, as etcd does by itself after a while.
    pub(crate) async fn compact(&self, http: &HttpClient) -> anyhow::Result<Compaction> {
        let url = |call: &str| format!("http://{}/v3/{call}", self.address);
        let nothing = json!({ "key": "eA==" });
        let found: serde_json::Value = http
            .post(&url("kv/range"), &nothing, COMPACT_MAX)
            .await
            .context("ask for the revision")?;
        let revision = found["header"]["revision"].clone();
        let begun = Instant::now();
        let order = json!({ "revision": revision, "physical": true });
        let _done: serde_json::Value =
            http.post(&url("kv/compaction"), &order, COMPACT_MAX).await.context("compact etcd")?;
        let took = begun.elapsed();
        // Counted anew with the next commit of the member's own.
        sleep(Duration::from_secs(1)).await;
        let after = self.seen(http).await?.series.get(IN_USE);
        Ok(Compaction { after, took })
    }
}

impl Seen {
    pub(crate) fn leads(&self) -> bool {
        self.series.get("etcd_server_is_leader") > 0.5
    }
}
