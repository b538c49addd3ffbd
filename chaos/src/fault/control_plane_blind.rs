//! `control-plane.blind`: one region's control plane reaches no site of any other region until healed, nor,
//! with `reaches: region`, anything else there. Everybody else reaches everybody, and it goes on hearing of
//! the cells from its own member of etcd.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};
use topology::RegionId;
use topology::address::Port;
use topology::spec::End;

use super::cut_off::{CutOff, Far, cut_off};
use super::{Bench, Injection};
use crate::control_plane::Vantages;
use crate::drill::Reach;
use crate::safeguard::Safeguard;

const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn inject(
    bench: &Bench<'_>,
    region: &RegionId,
    reach: Reach,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let name = format!("control-plane@{region}");
    let due = Instant::now() + bench.action.verify_within;
    let from = match reach {
        Reach::Etcd => "the sites of the other regions",
        Reach::Region => "everything in the other regions",
    };
    let (end, far) = (End::Region(region.clone()), far(bench, region, reach));
    injection.observer = Some(region.clone());
    let cut = CutOff { name: &name, end, far, shut: None, from };
    let filter = cut_off(bench, cut, safeguard, injection).await?;

    let asked = || async {
        let own = bench.control_plane.vantages(Some(region)).await?;
        anyhow::Ok((own, bench.control_plane.vantages(None).await?))
    };
    let (own, others) = loop {
        let (own, others) = asked().await.context("ask who sees what")?;
        if own.blind_to(region).is_some() && others.blind_to(region).is_some() {
            break (own, others);
        }
        ensure!(Instant::now() < due, "see {name} blind: it and the others say {others}");
        sleep(PAUSE).await;
    };
    let packets = filter.counted()?;
    ensure!(packets > 0, "see packets of {name} dropped: there was none");
    injection.proof.push(format!("{packets} packets of {name} and back were dropped"));
    for (who, seen) in [(own.vantage.as_str(), &own), (others.vantage.as_str(), &others)] {
        alone(region, seen)?;
        injection.proof.push(format!("control-plane@{who} says: {seen}"));
    }
    Ok(())
}

/// Fails if anybody else is doubted.
fn alone(region: &RegionId, seen: &Vantages) -> anyhow::Result<()> {
    let blind: BTreeSet<&str> = seen.blind().collect();
    ensure!(blind == [region.as_str()].into(), "see {region} alone doubted: {seen}");
    Ok(())
}

/// Returns where it could see anything of the other regions.
fn far(bench: &Bench<'_>, region: &RegionId, reach: Reach) -> Vec<Far> {
    let spec = &bench.platform.spec;
    let sites = spec.cells.iter().flat_map(|cell| {
        let others = cell.regions().filter(|other| *other != region);
        others.filter_map(|other| spec.site_address(&cell.id, other, Port::Agent))
    });
    let regions = spec.regions.iter().map(|other| &other.id).filter(|other| *other != region);
    let regions = regions
        .filter(|_| reach == Reach::Region)
        .filter_map(|other| spec.region_address(other, Port::ControlPlane));
    let hosts: BTreeSet<Far> =
        sites.chain(regions).map(|address| Far::Host(address.ip())).collect();
    hosts.into_iter().collect()
}
