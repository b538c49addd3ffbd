//! `region.kill`: everything of a region dies by SIGKILL at once, and stays down: agents, services,
//! PostgreSQL, etcd, the control plane; `regions.kill`: of all regions but one. Where a region has a process
//! namespace of its own the kernel does it, as when power fails. In silence, nobody hears their connections
//! end.

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
    regions: &[RegionId],
    death: Death,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let fleet = bench.platform.fleet()?;
    let (mut listed, mut inits, mut running) =
        (Vec::<&FleetProcess>::new(), Vec::new(), Vec::new());
    for region in regions {
        let here = fleet.processes.iter();
        let here: Vec<&FleetProcess> =
            here.filter(|process| process.region.as_deref() == Some(region.as_str())).collect();
        ensure!(!here.is_empty(), "find processes of region {region} in fleet.json");
        running.extend(here.iter().filter_map(|listed| {
            let process = Process { pid: listed.pid?, start_time: listed.start_time? };
            process.is_alive().then_some(process)
        }));
        listed.extend(here);
        let init = fleet.inits.get(region.as_str());
        inits.extend(init.map(|init| Process { pid: init.pid, start_time: init.start_time }));
    }
    // The kernel kills all who live with it.
    let mut roots: Vec<Process> = inits.iter().copied().chain(running).collect();
    for site in regions.iter().flat_map(|region| sites(bench, region)) {
        roots.extend(bench.platform.postmaster(&site));
    }
    for process in &listed {
        hold::place(bench, safeguard, &process.name)?;
    }
    let names: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
    let names = names.join(" and ");
    injection.begin(&bench.clock);
    if death == Death::Silent {
        for region in regions {
            net::silence(bench, region, safeguard)?;
        }
        injection.step(&bench.clock, format!("cut {names} off"));
    }
    let killed = kill_trees(&roots, bench.action.verify_within).await?;
    let count = killed.len();
    let how = if inits.is_empty() { "" } else { ", its init first" };
    injection.step(&bench.clock, format!("killed {count} processes of region {names}{how}"));
    let addresses: Vec<SocketAddr> =
        regions.iter().flat_map(|region| addresses(bench, region)).collect();
    all_refuse(&addresses, bench.action.verify_within).await?;
    injection
        .proof
        .push(format!("{count} processes are gone, {} of them the platform's own", listed.len()));
    injection
        .proof
        .push(format!("all {} addresses of region {names} refuse connections", addresses.len()));
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
