//! `net.stream`: of the answers to writes a share is cut off until healed, after what was asked for has been
//! passed on: those of a cell's active site to the routers, or those of its PostgreSQL to its services.

use anyhow::{Context as _, ensure};
use tokio::time::Instant;
use topology::SiteId;
use topology::address::Port;
use topology::spec::End;

use super::lead::Lead;
use super::{Bench, Injection};
use crate::drill::Cut;
use crate::relay::CUT;
use crate::safeguard::Safeguard;

/// Of what answers, how much is cut.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) cut: Cut,
    pub(super) percent: u8,
    pub(super) seed: u64,
}

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    share: Share,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let Share { cut, percent, seed } = share;
    let due = Instant::now() + bench.action.verify_within;
    let (end, port) = match cut {
        Cut::Answers => (End::Edge, Port::Gateway),
        Cut::Commits => (End::Region(site.region.clone()), Port::Postgres),
    };
    let to = bench.platform.spec.site_address(&site.cell, &site.region, port);
    let to = to.with_context(|| format!("find {site} in the spec"))?;
    let words = ["relay".to_owned(), to.to_string(), cut.to_string()];
    let words = words.into_iter().chain([percent.to_string(), seed.to_string()]);
    let mut lead = Lead::prepare(bench, &end, to, words, due, safeguard).await?;
    injection.begin(&bench.clock);
    lead.begin()?;
    injection.step(&bench.clock, format!("led connections to {to} through a helper"));
    let what = lead.heard(due).await.with_context(|| format!("see {cut} cut off"))?;
    ensure!(what == CUT, "see {cut} cut off: the helper said {what:?}");
    injection.proof.push(lead.proof()?);
    injection.proof.push(format!(
        "the first of the {cut} was cut off after {} ms; {percent} % will be",
        bench.clock.now().saturating_sub(injection.ended).as_millis()
    ));
    Ok(())
}
