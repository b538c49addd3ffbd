//! `router.stale`: one router, by the seed, hears nothing of etcd and the control planes until healed, nor
//! they of it; sites and users reach it as before.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use runtime::HttpClient;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use topology::address::Port;
use topology::spec::End;

use super::cut_off::{CutOff, Far, cut_off};
use super::{Bench, Injection, router_kill};
use crate::safeguard::Safeguard;

const ASK: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Of a router's `/_bulkhead/route`.
#[derive(Deserialize)]
struct Routed {
    version: u64,
    stale: bool,
    age_ms: u64,
}

pub(super) async fn inject(
    bench: &Bench<'_>,
    seed: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let within = bench.action.verify_within;
    let names = router_kill::names(bench)?;
    let name = names.choose(&mut StdRng::seed_from_u64(seed)).context("find a router")?;
    let due = Instant::now() + within;
    let cut = CutOff {
        name,
        end: End::Edge,
        far: sources(bench),
        shut: None,
        from: "etcd and the control planes",
    };
    let filter = cut_off(bench, cut, safeguard, injection).await?;

    let cut = loop {
        let routed = routed(bench, name).await.with_context(|| format!("ask {name}"))?;
        if routed.stale {
            break routed;
        }
        ensure!(Instant::now() < due, "see {name} stale: etcd confirms what it routes by");
        sleep(PAUSE).await;
    };
    let packets = filter.counted()?;
    ensure!(packets > 0, "see packets of {name} dropped: there was none");
    injection.proof.push(format!("{packets} packets of {name} and back were dropped"));
    injection.proof.push(format!(
        "{name} answers, and says that etcd has not confirmed version {} for {} ms more than it may",
        cut.version, cut.age_ms
    ));
    for other in names.iter().filter(|other| *other != name) {
        let routed = routed(bench, other).await.with_context(|| format!("ask {other}"))?;
        ensure!(!routed.stale, "see {other} go on following etcd: it is stale, too");
        injection.proof.push(format!("{other} follows etcd as before"));
    }
    Ok(())
}

/// Returns where a router could hear of anything from.
fn sources(bench: &Bench<'_>) -> Vec<Far> {
    let spec = &bench.platform.spec;
    let regions = spec.regions.iter().map(|region| &region.id);
    let ports = [Port::EtcdClient, Port::ControlPlane];
    regions
        .flat_map(|region| ports.map(|port| spec.region_address(region, port)))
        .flatten()
        .map(Far::Port)
        .collect()
}

async fn routed(bench: &Bench<'_>, name: &str) -> anyhow::Result<Routed> {
    let address = router_kill::admin_address(bench, name)?;
    let url = format!("http://{address}/_bulkhead/route?user=drill");
    let http = HttpClient::default();
    let answer = http.call(Method::GET, &url, HeaderMap::new(), "", ASK).await?;
    Ok(answer.json(&url)?)
}
