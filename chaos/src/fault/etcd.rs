//! `etcd.kill` keeps members of etcd down until healed; `etcd.leader-kill` kills the leader, which
//! is started again by whoever supervises it; `etcd.leader-freeze` stops it until healed.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method};
use runtime::HttpClient;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use topology::RegionId;
use topology::address::Port;

use super::refuses::all_refuse;
use super::{Bench, Injection, hold};
use crate::drill::EtcdMember;
use crate::freeze::stop_one;
use crate::platform::Platform;
use crate::process::kill_trees;
use crate::safeguard::Safeguard;

const ASK: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

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
}

pub(super) async fn kill(
    bench: &Bench<'_>,
    member: &EtcdMember,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let regions = match member {
        EtcdMember::All => bench.platform.spec.regions.iter().map(|r| r.id.clone()).collect(),
        EtcdMember::Leader => vec![leader(bench.platform, bench.action.verify_within).await?],
        EtcdMember::Of(region) => vec![region.clone()],
    };
    let mut running = Vec::new();
    for region in &regions {
        running.push(bench.platform.running(&name(region))?);
        hold::place(bench, safeguard, &name(region))?;
    }
    injection.begin(&bench.clock);
    let killed = kill_trees(&running, bench.action.verify_within).await?;
    let told: Vec<String> = regions.iter().map(name).collect();
    injection.step(&bench.clock, format!("killed {}", told.join(", ")));
    let addresses: Vec<SocketAddr> =
        regions.iter().filter_map(|region| address(bench.platform, region)).collect();
    all_refuse(&addresses, bench.action.verify_within).await?;
    injection.proof.push(format!("{} processes are gone", killed.len()));
    injection.proof.push(format!("{addresses:?} refuse connections"));
    Ok(())
}

pub(super) async fn kill_leader(
    bench: &Bench<'_>,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let within = bench.action.verify_within;
    let old = leader(bench.platform, within).await?;
    let process = bench.platform.running(&name(&old))?;
    injection.begin(&bench.clock);
    kill_trees(&[process], within).await?;
    injection.step(&bench.clock, format!("killed the leader {}", name(&old)));
    let from = Instant::now();
    let new = leader(bench.platform, within).await?;
    let after = from.elapsed().as_millis();
    injection.proof.push(format!(
        "process {} of {} is gone; {} led after {after} ms",
        process.pid,
        name(&old),
        name(&new)
    ));
    Ok(())
}

pub(super) async fn freeze_leader(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let old = leader(bench.platform, within).await?;
    let process = bench.platform.running(&name(&old))?;
    injection.begin(&bench.clock);
    stop_one(process, safeguard, ttl, within).await?;
    injection.step(&bench.clock, format!("froze the leader {}", name(&old)));
    let from = Instant::now();
    let new = leader(bench.platform, within).await?;
    let after = from.elapsed().as_millis();
    let (pid, old, new) = (process.pid, name(&old), name(&new));
    injection
        .proof
        .push(format!("process {pid} of {old} is in state T; {new} led after {after} ms"));
    Ok(())
}

/// Waits until a member says that it leads.
async fn leader(platform: &Platform, within: Duration) -> anyhow::Result<RegionId> {
    let http = HttpClient::default();
    let due = Instant::now() + within;
    loop {
        for region in platform.spec.regions.iter().map(|region| &region.id) {
            let Some(address) = address(platform, region) else { continue };
            // One that is down, or without a leader, is no answer yet.
            if leads(&http, address).await.unwrap_or(false) {
                return Ok(region.clone());
            }
        }
        ensure!(Instant::now() < due, "find the leader of etcd within {within:?}");
        sleep(PAUSE).await;
    }
}

async fn leads(http: &HttpClient, address: SocketAddr) -> anyhow::Result<bool> {
    let url = format!("http://{address}/v3/maintenance/status");
    let asked = http.call(Method::POST, &url, HeaderMap::new(), "{}".to_owned(), ASK);
    let status: Status = asked.await?.json(&url).context("ask etcd for its status")?;
    Ok(status.header.member_id == status.leader)
}

fn address(platform: &Platform, region: &RegionId) -> Option<SocketAddr> {
    platform.spec.region_address(region, Port::EtcdClient)
}

/// As in `fleet.json`.
fn name(region: &RegionId) -> String {
    format!("etcd@{region}")
}
