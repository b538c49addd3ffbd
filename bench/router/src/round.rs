//! One measurement of one proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::ensure;
use runtime::clock::BootTime;

use crate::figure::Figure;
use crate::load::{Load, Requests, paced};
use crate::process::Process;

/// Until connections are open and caches warm.
const WARM_UP: Duration = Duration::from_millis(700);
/// Requests a second at which latency is compared: a tenth of what the slowest can do.
pub(crate) const RATE: u32 = 1000;

/// What was measured of one proxy with one kind of request, a value for each round.
#[derive(Default)]
pub(crate) struct Cost {
    /// Microseconds of its processes' time per request.
    pub(crate) cpu: Figure,
    /// Requests a second.
    pub(crate) throughput: Figure,
    /// Which part of its core it had.
    pub(crate) share: Figure,
}

/// Latency through one proxy in microseconds, a value for each round.
#[derive(Default)]
pub(crate) struct Latency {
    pub(crate) p50: Figure,
    pub(crate) p99: Figure,
}

/// Latency of one kind of request.
#[derive(Default)]
pub(crate) struct Latencies {
    /// Of a site that is asked directly.
    pub(crate) direct: Latency,
    /// In the order of the proxies.
    pub(crate) through: Vec<Latency>,
}

impl Cost {
    /// Adds a round of as many requests as it can do.
    pub(crate) fn round(
        &mut self,
        address: SocketAddr,
        process: &Process,
        requests: &Arc<Requests>,
        duration: Duration,
    ) -> anyhow::Result<()> {
        let load = Load::start(address, requests);
        sleep(WARM_UP);
        let before = (load.answered(), process.cpu()?, BootTime::now());
        sleep(duration);
        let after = (load.answered(), process.cpu()?, BootTime::now());
        load.stop()?;
        let answered = u32::try_from(after.0 - before.0)?;
        ensure!(answered > 0, "count an answer of {address}: there was none");
        let cpu = after.1.saturating_sub(before.1).as_secs_f64();
        let seconds = after.2.since(before.2).as_secs_f64();
        self.cpu.push(cpu * 1e6 / f64::from(answered));
        self.throughput.push(f64::from(answered) / seconds);
        self.share.push(cpu / seconds);
        Ok(())
    }
}

impl Latency {
    /// Adds a round at a fixed rate.
    pub(crate) fn round(
        &mut self,
        address: SocketAddr,
        requests: &Arc<Requests>,
        duration: Duration,
    ) -> anyhow::Result<()> {
        let waits = paced(address, requests, RATE, duration)?;
        self.p50.push(percentile(waits.clone(), 50));
        self.p99.push(percentile(waits, 99));
        Ok(())
    }
}

/// Returns the wait that so many of a hundred are not longer than, in microseconds.
pub(crate) fn percentile(mut waits: Vec<Duration>, percent: usize) -> f64 {
    waits.sort_unstable();
    let place = waits.len() * percent / 100;
    waits.get(place).map_or(0.0, |wait| wait.as_secs_f64() * 1e6)
}
