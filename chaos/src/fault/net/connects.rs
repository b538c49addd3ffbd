//! `net.one-way-connect`: a region can open no connection to the others, or they none to it; those
//! that are open go on, and the other side opens what it likes.

use topology::wire::wan::{Cut, Policy};

use super::partition::{answered, names, silent};
use super::{Injection, Net};
use crate::drill::Towards;
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    net: &Net<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let bench = net.bench;
    injection.begin(&bench.clock);
    net.set(&Policy { cut: Some(Cut::Connects), ..Policy::default() }, safeguard)?;
    injection.step(&bench.clock, format!("cut connects of {}", net.told()));
    let (others, _) = net.others();
    let out: Vec<_> = others.iter().map(|end| (net.here(), end.clone())).collect();
    let back: Vec<_> = others.iter().map(|end| (end.clone(), net.here())).collect();
    let (out, back) = (net.probe(&out).await?, net.probe(&back).await?);
    let names = names(&others);
    match net.lines.towards {
        Towards::Both => silent(&out).and(silent(&back))?,
        Towards::Out => silent(&out).and(answered(&back))?,
        Towards::In => answered(&out).and(silent(&back))?,
    }
    let told = match net.lines.towards {
        Towards::Both => format!("{} connects to none of {names}, nor they to it", net.region),
        Towards::Out => format!("{} connects to none of {names}, and they to it", net.region),
        Towards::In => format!("none of {names} connects to {}, and it to them", net.region),
    };
    injection.proof.push(told);
    Ok(())
}
