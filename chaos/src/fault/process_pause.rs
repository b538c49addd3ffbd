//! `process.pause`: one process of the platform, whichever the seed names, stands still for a
//! moment.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::time::sleep;

use super::{Bench, Injection};
use crate::freeze::stop_one;
use crate::platform::Member;
use crate::process::Process;
use crate::safeguard::Safeguard;

/// One that ends by itself just then, as a connection's process does, makes way for another.
const ATTEMPTS: usize = 5;

pub(super) async fn inject(
    bench: &Bench<'_>,
    lasting: Duration,
    seed: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    injection.begin(&bench.clock);
    for _ in 0..ATTEMPTS {
        let mut members = bench.platform.members()?;
        // No part of the platform, but of the world it is in.
        members.retain(|member| member.name != "wan");
        let (member, process) =
            choose(&members, &mut random).context("find a process to pause: none runs")?;
        let arguments = process.arguments();
        let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
        let step = match stop_one(process, safeguard, ttl, within).await {
            Ok(step) => step,
            Err(_) if !process.is_alive() => continue,
            Err(err) => return Err(err),
        };
        let what = arguments.first().map_or_else(String::new, |name| name.replace('\n', " "));
        let told = format!("{what} of {}, process {}", member.name, process.pid);
        injection.step(&bench.clock, format!("paused {told}"));
        sleep(lasting).await;
        safeguard.revert(&[step].into())?;
        injection.step(&bench.clock, format!("let {told} go on"));
        injection.proof.push(format!("{told} was in state T for {} ms", lasting.as_millis()));
        return Ok(());
    }
    bail!("pause a process: {ATTEMPTS} were gone before they could be stopped")
}

/// Each member is as likely as any other, however many processes it consists of.
fn choose<'a>(members: &'a [Member], random: &mut StdRng) -> Option<(&'a Member, Process)> {
    let running: Vec<&Member> = members.iter().filter(|m| !m.processes.is_empty()).collect();
    let member = *running.choose(random)?;
    Some((member, *member.processes.choose(random)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_many_processes_is_no_likelier_and_the_seed_settles_it() {
        let process = |pid| Process { pid, start_time: 1 };
        let member = |name: &str, pids: std::ops::Range<u32>| Member {
            name: name.to_owned(),
            processes: pids.map(process).collect(),
        };
        let members = [member("etcd@east", 1..2), member("c1@east", 2..42), member("gone", 0..0)];
        let chosen = |seed| {
            let (member, process) = choose(&members, &mut StdRng::seed_from_u64(seed)).unwrap();
            (member.name.clone(), process)
        };
        let etcd = (0..200).filter(|seed| chosen(*seed).0 == "etcd@east").count();
        assert!((70..130).contains(&etcd), "{etcd} of 200");
        assert_eq!(chosen(7), chosen(7));
        assert_eq!(choose(&[], &mut StdRng::seed_from_u64(1)), None);
    }
}
