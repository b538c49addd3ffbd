//! `net.flap`: a region's lines are cut and mended, again and again, each time for as long as the seed has it.

use std::time::Duration;

use anyhow::ensure;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep_until};
use topology::spec::End;
use topology::wire::wan::{Cut, Policy};

use super::partition::{answered, silent};
use super::{Injection, Net};
use crate::drill::Flap;
use crate::guard::SILENCE;
use crate::safeguard::Safeguard;

pub(super) async fn inject(
    net: &Net<'_>,
    flap: Flap,
    seed: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let bench = net.bench;
    let (others, _) = net.others();
    let back: Vec<(End, End)> = others.iter().map(|end| (end.clone(), net.here())).collect();
    let turns = turns(flap, seed);
    injection.begin(&bench.clock);
    let (mut at, mut dropped) = (Instant::now(), 0_u64);
    for (index, Turn { down, up }) in turns.iter().enumerate() {
        let cut = Policy { cut: Some(Cut::All), ..Policy::default() };
        // Whoever is silent for longer mends nothing any more: the WAN does, if the guard is gone, too.
        let ttl = bench.action.ttl.min(*down + SILENCE);
        let (id, step) = net.set_for(ttl, &cut, safeguard)?;
        injection.step(&bench.clock, format!("cut {} for {down:.1?}", net.told()));
        // A probe takes a second; of the other turns the packets say enough.
        if index == 0 {
            silent(&net.probe(&back).await?)?;
        }
        at += *down;
        sleep_until(at).await;
        let of_cut = net.in_force(&id)?.dropped;
        ensure!(of_cut > 0, "see packets dropped in cut {}: there was none", index + 1);
        dropped += of_cut;
        safeguard.revert(&[step].into())?;
        injection.step(&bench.clock, format!("mended {} for {up:.1?}", net.told()));
        at += *up;
        sleep_until(at).await;
    }
    answered(&net.probe(&back).await?)?;
    let count = turns.len();
    injection.proof.push(format!("in each of {count} cuts packets were dropped, {dropped} in all"));
    injection.proof.push(format!("nobody connected to {} in the first of them", net.region));
    injection.proof.push(format!("everybody connects to {} after the last", net.region));
    Ok(())
}

/// How long the lines are cut, and then whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    down: Duration,
    up: Duration,
}

/// Returns as many turns as take the time there is, and end within it but for the last.
fn turns(flap: Flap, seed: u64) -> Vec<Turn> {
    let mut random = StdRng::seed_from_u64(seed);
    let more = flap.longest.saturating_sub(flap.shortest);
    let mut time = || flap.shortest + more.mul_f64(random.random::<f64>());
    let (mut turns, mut taken) = (Vec::new(), Duration::ZERO);
    while taken < flap.lasting {
        let turn = Turn { down: time(), up: time() };
        taken += turn.down + turn.up;
        turns.push(turn);
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAP: Flap = Flap {
        shortest: Duration::from_secs(2),
        longest: Duration::from_secs(7),
        lasting: Duration::from_mins(2),
    };

    #[test]
    fn turns_fill_the_time_and_each_is_of_another_length_within_its_bounds() {
        let turns = turns(FLAP, 7);
        let times: Vec<Duration> = turns.iter().flat_map(|turn| [turn.down, turn.up]).collect();
        assert!(times.iter().all(|time| (FLAP.shortest..=FLAP.longest).contains(time)));
        assert!(times.iter().any(|time| *time < Duration::from_millis(3500)));
        assert!(times.iter().any(|time| *time > Duration::from_millis(5500)));
        let whole: Duration = times.iter().sum();
        let last = turns.last().map(|turn| turn.down + turn.up).unwrap();
        assert!(whole >= FLAP.lasting && whole < FLAP.lasting + last);
    }

    #[test]
    fn the_same_seed_flaps_alike() {
        assert_eq!(turns(FLAP, 7), turns(FLAP, 7));
        assert_ne!(turns(FLAP, 7), turns(FLAP, 8));
    }
}
