//! `net.partition`: nothing arrives over a region's lines; in one direction only, TCP stalls in both.

use anyhow::ensure;
use topology::spec::End;
use topology::wire::wan::{Cut, Policy};

use super::probe::Probe;
use super::{Injection, Net};
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    net: &Net<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let bench = net.bench;
    injection.begin(&bench.clock);
    let id = net.set(&Policy { cut: Some(Cut::All), ..Policy::default() }, safeguard)?;
    injection.step(&bench.clock, format!("cut {}", net.told()));
    let (others, apart) = net.others();
    let there = others.iter().map(|end| (net.here(), end.clone()));
    let back = others.iter().map(|end| (end.clone(), net.here()));
    let cut: Vec<(End, End)> = there.chain(back).collect();
    silent(&net.probe(&cut).await?)?;
    // Whoever is not concerned connects as before, or everything would prove anything.
    let mut open: Vec<(End, End)> = apart.iter().map(|end| (end.clone(), net.here())).collect();
    open.extend(others.first().zip(others.get(1)).map(|(a, b)| (a.clone(), b.clone())));
    answered(&net.probe(&open).await?)?;
    let dropped = net.in_force(&id)?.dropped;
    ensure!(dropped > 0, "see packets dropped: there was none");
    injection.proof.push(format!("nobody connects between {} and {}", net.region, names(&others)));
    injection.proof.push(format!("{dropped} packets were dropped"));
    injection.proof.push(format!("{} lines that are not cut connect", open.len()));
    Ok(())
}

pub(super) fn silent(probes: &[Probe]) -> anyhow::Result<()> {
    let open = probes.iter().find(|probe| probe.took.is_some());
    ensure!(open.is_none(), "see silence: {}", open.map(ToString::to_string).unwrap_or_default());
    Ok(())
}

pub(super) fn answered(probes: &[Probe]) -> anyhow::Result<()> {
    let cut = probes.iter().find(|probe| probe.took.is_none());
    ensure!(cut.is_none(), "see an answer: {}", cut.map(ToString::to_string).unwrap_or_default());
    Ok(())
}

pub(super) fn names(ends: &[End]) -> String {
    ends.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
