//! `etcd.majority-loss`: as many members as make a majority are killed and kept down, or stand still, until
//! healed; the leader is one of them. Those that are left run, and cannot say what holds now.

use std::iter::zip;
use std::time::Duration;

use anyhow::ensure;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::time::{Instant, sleep};
use topology::RegionId;

use super::ask::{self, PAUSE, View};
use super::{hold_down, keep_down};
use crate::drill::Outage;
use crate::fault::{Bench, Injection};
use crate::freeze::stop_one;
use crate::safeguard::Safeguard;

pub(in crate::fault) async fn lose_majority(
    bench: &Bench<'_>,
    mode: Outage,
    seed: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (platform, within) = (bench.platform, bench.action.verify_within);
    let leader = ask::leader(platform, within).await?;
    let others = platform.spec.regions.iter().map(|region| region.id.clone());
    let others: Vec<RegionId> = others.filter(|region| *region != leader).collect();
    let (lost, left) = split(leader, others, seed);
    match mode {
        Outage::Kill => {
            hold_down(bench, &lost, safeguard)?;
            injection.begin(&bench.clock);
            keep_down(bench, &lost, injection).await?;
        }
        Outage::Freeze => stand_still(bench, &lost, safeguard, injection).await?,
    }
    for region in &left {
        let why = refused(bench, region, within).await?;
        let name = ask::name(region);
        injection.proof.push(format!("{name} runs, and refuses to read what holds now: {why}"));
    }
    Ok(())
}

async fn stand_still(
    bench: &Bench<'_>,
    lost: &[RegionId],
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let mut processes = Vec::new();
    for region in lost {
        processes.push(bench.platform.running(&ask::name(region))?);
    }
    injection.begin(&bench.clock);
    for (region, process) in zip(lost, &processes) {
        stop_one(*process, safeguard, ttl, within).await?;
        injection.step(&bench.clock, format!("froze {}", ask::name(region)));
    }
    let pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    injection.proof.push(format!("processes {pids:?} of {} are in state T", ask::names(lost)));
    Ok(())
}

/// Waits until a member that runs has no leader, and refuses what takes a majority. Returns how.
async fn refused(bench: &Bench<'_>, region: &RegionId, within: Duration) -> anyhow::Result<String> {
    let (name, due) = (ask::name(region), Instant::now() + within);
    loop {
        // It may be too busy with the others' loss to answer at once.
        let view = ask::view(bench.platform, region).await;
        let is_without = view.as_ref().is_ok_and(View::has_no_leader);
        if is_without && let Some(why) = ask::refusal(bench.platform, region).await? {
            return Ok(why);
        }
        ensure!(
            Instant::now() < due,
            "see {name} without a leader refuse to read: it says {view:?}"
        );
        sleep(PAUSE).await;
    }
}

/// Returns the smallest majority that has the leader, and who is left.
fn split(leader: RegionId, mut others: Vec<RegionId>, seed: u64) -> (Vec<RegionId>, Vec<RegionId>) {
    others.shuffle(&mut StdRng::seed_from_u64(seed));
    let mut lost = vec![leader];
    lost.extend(others);
    let majority = lost.len() / 2 + 1;
    let left = lost.split_off(majority);
    (lost, left)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_more_are_lost_than_make_a_majority_and_the_leader_always_is() {
        assert_eq!(sizes(3), (2, 1));
        assert_eq!(sizes(4), (3, 1));
        assert_eq!(sizes(5), (3, 2));
        assert_eq!(sizes(1), (1, 0));
    }

    #[test]
    fn who_goes_with_the_leader_is_left_to_the_seed() {
        let left: BTreeSet<Vec<RegionId>> = (0..16).map(|seed| of(3, seed).1).collect();
        assert_eq!(left.len(), 2);
        assert_eq!(of(3, 7), of(3, 7));
    }

    fn sizes(members: u32) -> (usize, usize) {
        let (lost, left) = of(members, 1);
        assert_eq!(lost[0].as_str(), "r0");
        (lost.len(), left.len())
    }

    fn of(members: u32, seed: u64) -> (Vec<RegionId>, Vec<RegionId>) {
        let region = |number: u32| format!("r{number}").parse().unwrap();
        split(region(0), (1..members).map(region).collect(), seed)
    }
}
