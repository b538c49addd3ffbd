//! What the members of etcd say of themselves, each asked by its own address.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderValue, Method};
use runtime::HttpClient;
use runtime::http_client::CallError;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use topology::RegionId;
use topology::address::Port;

use crate::platform::Platform;

pub(super) const ASK: Duration = Duration::from_secs(1);
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// How etcd says that nobody leads: where it says nothing, it is the default.
const NOBODY: [&str; 2] = ["", "0"];

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) region: RegionId,
    member: String,
    leader: String,
    revision: String,
}

/// Of `/v3/maintenance/status`; numbers of 64 bits are texts there.
#[derive(Deserialize)]
struct Status {
    header: Header,
    #[serde(default)]
    leader: String,
}

#[derive(Deserialize)]
struct Header {
    member_id: String,
    #[serde(default)]
    revision: String,
}

impl View {
    pub(super) fn leads(&self) -> bool {
        self.member == self.leader
    }

    pub(super) fn has_no_leader(&self) -> bool {
        NOBODY.contains(&self.leader.as_str())
    }

    /// Returns how many changes the member has seen.
    pub(super) fn revision(&self) -> anyhow::Result<u64> {
        let Self { region, revision, .. } = self;
        revision.parse().with_context(|| format!("read the revision of {}", name(region)))
    }

    pub(super) fn follows(&self, leader: &Self) -> bool {
        self.leader == leader.member
    }
}

/// Waits until a member says that it leads. One that is down, or without a leader, is no answer yet; nobody waits
/// for one that is silent.
pub(super) async fn leader(platform: &Platform, within: Duration) -> anyhow::Result<RegionId> {
    let leads = |region| async move {
        while !view(platform, region).await.is_ok_and(|view| view.leads()) {
            sleep(PAUSE).await;
        }
        region.clone()
    };
    let regions = platform.spec.regions.iter().map(|region| &region.id);
    let mut asked: FuturesUnordered<_> = regions.map(leads).collect();
    match timeout(within, asked.next()).await {
        Ok(Some(leader)) => Ok(leader),
        Ok(None) | Err(_) => bail!("find the leader of etcd within {within:?}"),
    }
}

/// Returns what those say who answer.
pub(super) async fn views(platform: &Platform) -> Vec<View> {
    let mut views = Vec::new();
    for region in platform.spec.regions.iter().map(|region| &region.id) {
        views.extend(view(platform, region).await.ok());
    }
    views
}

pub(super) async fn view(platform: &Platform, region: &RegionId) -> anyhow::Result<View> {
    let address = address(platform, region, Port::EtcdClient)?;
    let url = format!("http://{address}/v3/maintenance/status");
    let http = HttpClient::default();
    let asked = http.call(Method::POST, &url, HeaderMap::new(), "{}", ASK);
    let Status { header, leader } = asked.await?.json(&url).context("ask etcd for its status")?;
    let Header { member_id: member, revision } = header;
    Ok(View { region: region.clone(), member, leader, revision })
}

/// Asks a member for a key as of now, which takes a majority. Returns how that was refused; none where it was
/// answered.
pub(super) async fn refusal(
    platform: &Platform,
    region: &RegionId,
) -> anyhow::Result<Option<String>> {
    let address = address(platform, region, Port::EtcdClient)?;
    let url = format!("http://{address}/v3/kv/range");
    let mut headers = HeaderMap::new();
    // Without it a member waits for some seconds for somebody to lead.
    headers.insert("grpc-metadata-hasleader", HeaderValue::from_static("true"));
    // In Base64: `drill`, which nobody writes.
    let body = r#"{"key":"ZHJpbGw="}"#;
    match HttpClient::default().call(Method::POST, &url, headers, body, ASK).await {
        Ok(answer) if answer.status.is_server_error() => {
            Ok(Some(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body).trim())))
        }
        Ok(_) => Ok(None),
        Err(err @ CallError::Timeout { .. }) => Ok(Some(err.to_string())),
        Err(err) => Err(err).with_context(|| format!("ask {} for a key", name(region))),
    }
}

pub(super) fn address(
    platform: &Platform,
    region: &RegionId,
    port: Port,
) -> anyhow::Result<SocketAddr> {
    let address = platform.spec.region_address(region, port);
    address.with_context(|| format!("find the address of {}", name(region)))
}

/// As in `fleet.json`.
pub(super) fn name(region: &RegionId) -> String {
    format!("etcd@{region}")
}

pub(super) fn names(regions: &[RegionId]) -> String {
    let names: Vec<String> = regions.iter().map(name).collect();
    names.join(", ")
}

#[cfg(test)]
pub(super) fn said(region: &str, member: &str, leader: &str) -> View {
    let [member, leader, revision] = [member, leader, "7"].map(str::to_owned);
    View { region: region.parse().unwrap(), member, leader, revision }
}
