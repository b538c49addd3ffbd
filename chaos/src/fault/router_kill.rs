//! `router.kill`: one router, by the seed, or each of them in turn dies by SIGKILL. Nobody is held
//! back: whoever supervises it starts it again.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::time::{Instant, sleep};
use topology::wire::fleet::FleetRole;

use super::{Bench, Injection, Kill};
use crate::drill::Routers;
use crate::process::{Process, kill_one};

/// Between two looks for the one that is started in its place.
const LOOK: Duration = Duration::from_millis(50);

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

/// Waits for the one in its place: all at once is another fault.
async fn started_again(bench: &Bench<'_>, name: &str, before: Process) -> anyhow::Result<()> {
    let due = Instant::now() + bench.action.verify_within;
    while bench.platform.running(name).ok().is_none_or(|process| process == before) {
        ensure!(Instant::now() < due, "see {name} started again");
        sleep(LOOK).await;
    }
    Ok(())
}

pub(super) fn names(bench: &Bench<'_>) -> anyhow::Result<Vec<String>> {
    let fleet = bench.platform.fleet().context("find the routers")?;
    let routers = fleet.processes.into_iter().filter(|listed| listed.role == FleetRole::Router);
    Ok(routers.map(|listed| listed.name).collect())
}
