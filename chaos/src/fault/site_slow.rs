//! `site.slow`: whatever a cell's active site answers its users arrives so much later until healed, and so
//! does what it answers to those who try for the control planes what users need. Its agent is left alone,
//! and what it says and renews is in time: the site is alive and of little use.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;
use topology::SiteId;
use topology::address::Port;
use topology::spec::End;

use super::lead::Lead;
use super::{Bench, Injection};
use crate::relay::{LATE, Late};
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    by: Duration,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let due = Instant::now() + bench.action.verify_within;
    let mut leads = Vec::new();
    for (late, end) in ends(bench, site)? {
        let port = match late {
            Late::Answers => Port::Gateway,
            Late::Canaries => Port::SessionAdmin,
        };
        let to = bench.platform.spec.site_address(&site.cell, &site.region, port);
        let to = to.with_context(|| format!("find {site} in the spec"))?;
        let words = ["delay".to_owned(), to.to_string(), late.to_string()];
        let words = words.into_iter().chain([by.as_millis().to_string()]);
        leads.push((late, Lead::prepare(bench, &end, to, words, due, safeguard).await?));
    }
    injection.begin(&bench.clock);
    for (late, lead) in &leads {
        lead.begin()?;
        injection.step(&bench.clock, format!("led those who wait for {late} through a helper"));
    }
    for (late, lead) in &mut leads {
        let what = lead.heard(due).await.with_context(|| format!("see {late} come late"))?;
        ensure!(what == LATE, "see {late} come late: the helper said {what:?}");
        injection.proof.push(format!("{}, where {late} come {by:?} late", lead.proof()?));
    }
    Ok(())
}

/// Who waits for what, and where: routers at the edge, control planes in the other regions. Where all are in
/// one network, one end of each is enough.
fn ends(bench: &Bench<'_>, site: &SiteId) -> anyhow::Result<Vec<(Late, End)>> {
    let fleet = bench.platform.fleet()?;
    let others = bench.platform.spec.regions.iter().filter(|region| region.id != site.region);
    let by_network: BTreeMap<Option<&String>, End> = others
        .map(|region| End::Region(region.id.clone()))
        .map(|end| (fleet.namespaces.get(&end.to_string()), end))
        .collect();
    let canaries = by_network.into_values().map(|end| (Late::Canaries, end));
    Ok(std::iter::once((Late::Answers, End::Edge)).chain(canaries).collect())
}
