//! `router.kill`: one router, by the seed, or each of them in turn dies by SIGKILL. Nobody is held
//! back: whoever supervises it starts it again.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use runtime::HttpClient;
use tokio::time::{Instant, sleep};
use topology::wire::fleet::FleetRole;

use super::{Bench, Injection, Kill};
use crate::drill::Routers;
use crate::process::{Process, kill_one};

/// Between two looks for the one that is started in its place.
const LOOK: Duration = Duration::from_millis(50);
/// How long it may take to say whether it is ready.
const ASK: Duration = Duration::from_secs(1);

pub(super) async fn inject(
    bench: &Bench<'_>,
    routers: Routers,
    seed: u64,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let names = names(bench)?;
    let chosen: Vec<&String> = match routers {
        Routers::One => names.choose(&mut StdRng::seed_from_u64(seed)).into_iter().collect(),
        Routers::EachInTurn => names.iter().collect(),
    };
    ensure!(!chosen.is_empty(), "find a router in fleet.json");
    injection.begin(&bench.clock);
    for name in chosen {
        let process = bench.platform.running(name)?;
        let begun = bench.clock.now();
        kill_one(process, bench.action.verify_within).await?;
        injection.kills.push(Kill { begun, gone: bench.clock.now() });
        injection.step(&bench.clock, format!("killed {name}, process {}", process.pid));
        injection.proof.push(format!("process {} of {name} is gone", process.pid));
        if routers == Routers::EachInTurn {
            started_again(bench, name, process).await?;
        }
    }
    Ok(())
}

/// Waits until the one in its place serves: all at once is another fault.
async fn started_again(bench: &Bench<'_>, name: &str, before: Process) -> anyhow::Result<()> {
    let due = Instant::now() + bench.action.verify_within;
    let ready = format!("http://{}/readyz", admin_address(bench, name)?);
    let http = HttpClient::default();
    loop {
        let is_another = bench.platform.running(name).is_ok_and(|process| process != before);
        if is_another {
            let answer = http.call(Method::GET, &ready, HeaderMap::new(), "", ASK).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
        }
        ensure!(Instant::now() < due, "see {name} started again, and ready");
        sleep(LOOK).await;
    }
}

/// Returns where a router answers others than users.
pub(super) fn admin_address(bench: &Bench<'_>, name: &str) -> anyhow::Result<SocketAddr> {
    let number = name.strip_prefix("router-").and_then(|number| number.parse().ok());
    let number = number.with_context(|| format!("read a number from {name}"))?;
    Ok(bench.platform.spec.router_admin_address(number))
}

pub(super) fn names(bench: &Bench<'_>) -> anyhow::Result<Vec<String>> {
    let fleet = bench.platform.fleet().context("find the routers")?;
    let routers = fleet.processes.into_iter().filter(|listed| listed.role == FleetRole::Router);
    Ok(routers.map(|listed| listed.name).collect())
}
