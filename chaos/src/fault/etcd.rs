//! `etcd.kill` keeps members of etcd down until healed; `etcd.leader-kill` kills the leader, which
//! is started again by whoever supervises it; `etcd.leader-freeze` stops it until healed.

mod ask;
mod isolate;
mod majority;
pub(crate) mod swap;
pub(crate) mod tools;
mod wipe;

use std::net::SocketAddr;

use tokio::time::Instant;
use topology::RegionId;
use topology::address::Port;

use super::refuses::all_refuse;
use super::{Bench, Injection, hold};
use crate::drill::EtcdMember;
use crate::freeze::stop_one;
use crate::process::kill_trees;
use crate::safeguard::Safeguard;

pub(super) use isolate::isolate;
pub(super) use majority::lose_majority;
pub(super) use wipe::{snapshot, wipe};

pub(super) async fn kill(
    bench: &Bench<'_>,
    member: &EtcdMember,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let regions = match member {
        EtcdMember::All => bench.platform.spec.regions.iter().map(|r| r.id.clone()).collect(),
        EtcdMember::Leader => vec![ask::leader(bench.platform, bench.action.verify_within).await?],
        EtcdMember::Of(region) => vec![region.clone()],
    };
    hold_down(bench, &regions, safeguard)?;
    injection.begin(&bench.clock);
    keep_down(bench, &regions, injection).await
}

fn hold_down(bench: &Bench<'_>, regions: &[RegionId], safeguard: &Safeguard) -> anyhow::Result<()> {
    for region in regions {
        hold::place(bench, safeguard, &ask::name(region))?;
    }
    Ok(())
}

/// Kills members that are held down.
async fn keep_down(
    bench: &Bench<'_>,
    regions: &[RegionId],
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (mut running, mut addresses) = (Vec::new(), Vec::<SocketAddr>::new());
    for region in regions {
        running.push(bench.platform.running(&ask::name(region))?);
        addresses.push(ask::address(bench.platform, region, Port::EtcdClient)?);
    }
    let killed = kill_trees(&running, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("killed {}", ask::names(regions)));
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
    let old = ask::leader(bench.platform, within).await?;
    let process = bench.platform.running(&ask::name(&old))?;
    injection.begin(&bench.clock);
    kill_trees(&[process], within).await?;
    injection.step(&bench.clock, format!("killed the leader {}", ask::name(&old)));
    let from = Instant::now();
    let new = ask::leader(bench.platform, within).await?;
    injection.led_again = Some(bench.clock.now());
    let after = from.elapsed().as_millis();
    injection.proof.push(format!(
        "process {} of {} is gone; {} led after {after} ms",
        process.pid,
        ask::name(&old),
        ask::name(&new)
    ));
    Ok(())
}

pub(super) async fn freeze_leader(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let old = ask::leader(bench.platform, within).await?;
    let process = bench.platform.running(&ask::name(&old))?;
    injection.begin(&bench.clock);
    stop_one(process, safeguard, ttl, within).await?;
    injection.step(&bench.clock, format!("froze the leader {}", ask::name(&old)));
    let from = Instant::now();
    let new = ask::leader(bench.platform, within).await?;
    injection.led_again = Some(bench.clock.now());
    let after = from.elapsed().as_millis();
    let (pid, old, new) = (process.pid, ask::name(&old), ask::name(&new));
    injection
        .proof
        .push(format!("process {pid} of {old} is in state T; {new} led after {after} ms"));
    Ok(())
}
