//! `failover`: a person has a cell served by what is left of it, as somebody would who has read the alert:
//! first without giving up anything, which has to be refused, and then with it.

use anyhow::{Context as _, bail, ensure};
use topology::{CellId, RegionId};

use super::switchover::until_serves;
use super::{Bench, Injection};
use crate::control_plane::FailedOver;

/// What nobody is promoted for unless data may be lost.
const TOO_FEW: &str = "too-few-votes";
const REASON: &str = "a drill: what is left is to serve";

pub(super) async fn inject(
    bench: &Bench<'_>,
    cell: &CellId,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let alerts = bench.control_plane.alerts().await?;
    let told = alerts.iter().filter(|alert| alert.cell.as_ref() == Some(cell));
    let told: Vec<&str> = told.map(|alert| alert.name.as_str()).collect();
    ensure!(
        !told.is_empty(),
        "find an alert of {cell}, which a person would act on: there is none"
    );
    injection.begin(&bench.clock);
    match bench.control_plane.failover(cell, None).await? {
        FailedOver::Refused(code) if code == TOO_FEW => {}
        FailedOver::Refused(code) => bail!("be refused a failover of {cell} as {TOO_FEW}: {code}"),
        FailedOver::Done(promoted) => {
            let told = format!("{promoted}, though nothing was to be given up");
            injection.step(&bench.clock, told.clone());
            bail!("be refused a failover of {cell}: {told}");
        }
    }
    injection.step(&bench.clock, format!("was refused a failover of {cell} that gives up nothing"));
    let promoted = match bench.control_plane.failover(cell, Some(REASON)).await? {
        FailedOver::Done(promoted) => promoted,
        FailedOver::Refused(code) => bail!("give up what {cell} may have lost: refused as {code}"),
    };
    injection.step(&bench.clock, promoted.to_string());
    let to: RegionId = promoted.to.parse().context("read a region's id")?;
    until_serves(bench, cell, &to).await?;
    injection.proof.push(format!("alerts of {cell}: {}", told.join(", ")));
    injection.proof.push(format!("{cell} is active in {to}"));
    let gives_up = promoted.gives_up.context("hear what is given up: nothing is said of it")?;
    injection.proof.push(gives_up.to_string());
    Ok(())
}
