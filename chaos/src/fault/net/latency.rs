//! `net.latency`: packets take longer on a region's lines.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use topology::wire::wan::Policy;

use super::{Injection, Net};
use crate::drill::Towards;
use crate::safeguard::Safeguard;

/// Of what was asked for must be seen at least, in per cent: jitter takes some of it.
const SEEN: u32 = 80;

pub(super) async fn inject(
    net: &Net<'_>,
    delay: Duration,
    jitter: Duration,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let bench = net.bench;
    let before = connects(net).await?;
    injection.begin(&bench.clock);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (delay_ms, jitter_ms) = (millis(delay), millis(jitter));
    net.set(&Policy { delay_ms, jitter_ms, ..Policy::default() }, safeguard)?;
    injection.step(&bench.clock, format!("added {delay_ms} ms to {}", net.told()));
    let after = connects(net).await?;
    let ways = if net.lines.towards == Towards::Both { 2 } else { 1 };
    let least = delay.saturating_sub(jitter) * ways * SEEN / 100;
    let seen = after.saturating_sub(before);
    ensure!(seen >= least, "see connects take {least:?} longer: it was {seen:?}");
    injection.proof.push(format!(
        "connects took {} ms and take {} ms",
        before.as_millis(),
        after.as_millis()
    ));
    Ok(())
}

/// Returns how long a connect takes to the nearest of the others.
async fn connects(net: &Net<'_>) -> anyhow::Result<Duration> {
    let (others, _) = net.others();
    let pairs: Vec<_> = others.iter().map(|end| (net.here(), end.clone())).collect();
    let probes = net.probe(&pairs).await?;
    let took = probes.iter().filter_map(|probe| probe.took).min();
    took.with_context(|| format!("connect from {}: silence", net.region))
}
