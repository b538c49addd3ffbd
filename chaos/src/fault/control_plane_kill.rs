//! `control-plane.kill`: the control planes of one region or of all die by SIGKILL, and stay down.

use std::net::SocketAddr;

use topology::RegionId;
use topology::address::Port;

use super::refuses::all_refuse;
use super::{Bench, Injection, hold};
use crate::process::kill_trees;
use crate::safeguard::Safeguard;

/// `region` is `None` for all of them.
pub(super) async fn inject(
    bench: &Bench<'_>,
    region: Option<&RegionId>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let spec = &bench.platform.spec;
    let every = spec.regions.iter().map(|region| &region.id);
    let regions: Vec<&RegionId> = region.map_or_else(|| every.collect(), |region| vec![region]);
    let mut running = Vec::new();
    for region in &regions {
        let name = format!("control-plane@{region}");
        running.push(bench.platform.running(&name)?);
        hold::place(bench, safeguard, &name)?;
    }
    injection.begin(&bench.clock);
    let killed = kill_trees(&running, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("killed {} control planes", regions.len()));
    let addresses: Vec<SocketAddr> =
        regions.iter().filter_map(|r| spec.region_address(r, Port::ControlPlane)).collect();
    all_refuse(&addresses, bench.action.verify_within).await?;
    injection.proof.push(format!("{} processes are gone", killed.len()));
    injection.proof.push(format!("{addresses:?} refuse connections"));
    Ok(())
}
