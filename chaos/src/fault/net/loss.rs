//! `net.loss`: of the packets on a region's lines a share is lost.

use anyhow::ensure;
use tokio::time::{Duration, Instant, sleep};
use topology::wire::wan::{InForce, Policy};

use super::{Injection, Net};
use crate::safeguard::Safeguard;

/// Of so many packets the share that is lost says something.
const PACKETS: u64 = 500;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn inject(
    net: &Net<'_>,
    percent: u8,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let bench = net.bench;
    injection.begin(&bench.clock);
    let id =
        net.set(&Policy { loss: f64::from(percent) / 100.0, ..Policy::default() }, safeguard)?;
    injection.step(&bench.clock, format!("lose {percent} % of what goes over {}", net.told()));
    let due = Instant::now() + bench.action.verify_within;
    loop {
        let InForce { packets, dropped, .. } = net.in_force(&id)?;
        if packets >= PACKETS {
            // Half of it at least: chance has its part in a few hundred packets.
            let is_seen = dropped * 200 >= packets * u64::from(percent);
            ensure!(is_seen, "see {percent} % lost: {dropped} of {packets} were");
            injection.proof.push(format!("{dropped} of {packets} packets were lost"));
            return Ok(());
        }
        ensure!(Instant::now() < due, "see {PACKETS} packets pass: {packets} did");
        sleep(PAUSE).await;
    }
}
