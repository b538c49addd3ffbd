//! `region.kill`: everything of a region dies by SIGKILL at once, and stays down: agents, services,
//! PostgreSQL, etcd, the control plane. Where it has a process namespace of its own the kernel does it, as
//! when power fails. In silence, nobody hears their connections end.

use std::net::SocketAddr;

use anyhow::ensure;
use topology::address::Port;
use topology::wire::fleet::FleetProcess;
use topology::{RegionId, SiteId};

use super::refuses::all_refuse;
use super::{Bench, Injection, hold, net};
use crate::drill::Death;
use crate::process::{Process, kill_trees};
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    bench: &Bench<'_>,
    region: &RegionId,
    death: Death,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let fleet = bench.platform.fleet()?;
    let listed: Vec<&FleetProcess> = fleet
        .processes
        .iter()
        .filter(|process| process.region.as_deref() == Some(region.as_str()))
        .collect();
    ensure!(!listed.is_empty(), "find processes of region {region} in fleet.json");
    let running = listed.iter().filter_map(|listed| {
        let process = Process { pid: listed.pid?, start_time: listed.start_time? };
        process.is_alive().then_some(process)
    });
    // The kernel kills all who live with it.
    let init = fleet.inits.get(region.as_str());
    let init = init.map(|init| Process { pid: init.pid, start_time: init.start_time });
    let mut roots: Vec<Process> = init.into_iter().chain(running).collect();
    for site in sites(bench, region) {
        roots.extend(bench.platform.postmaster(&site));
    }
    for process in &listed {
        hold::place(bench, safeguard, &process.name)?;
    }
    injection.begin(&bench.clock);
    if death == Death::Silent {
        net::silence(bench, region, safeguard)?;
        injection.step(&bench.clock, format!("cut {region} off"));
    }
    let killed = kill_trees(&roots, bench.action.verify_within).await?;
    let count = killed.len();
    let how = if init.is_some() { ", its init first" } else { "" };
    injection.step(&bench.clock, format!("killed {count} processes of region {region}{how}"));
    let addresses = addresses(bench, region);
    all_refuse(&addresses, bench.action.verify_within).await?;
    injection
        .proof
        .push(format!("{count} processes are gone, {} of them the platform's own", listed.len()));
    injection
        .proof
        .push(format!("all {} addresses of the region refuse connections", addresses.len()));
    Ok(())
}

fn sites(bench: &Bench<'_>, region: &RegionId) -> Vec<SiteId> {
    let here = bench.platform.spec.cells.iter().filter(|cell| cell.regions().any(|r| r == region));
    here.map(|cell| SiteId { cell: cell.id.clone(), region: region.clone() }).collect()
}

/// Where something of the region would answer.
fn addresses(bench: &Bench<'_>, region: &RegionId) -> Vec<SocketAddr> {
    let spec = &bench.platform.spec;
    let own = [Port::EtcdClient, Port::ControlPlane].map(|port| spec.region_address(region, port));
    let of_sites = sites(bench, region).into_iter().flat_map(|site| {
        [Port::Agent, Port::Gateway, Port::Postgres]
            .map(|port| spec.site_address(&site.cell, region, port))
    });
    own.into_iter().chain(of_sites).flatten().collect()
}
