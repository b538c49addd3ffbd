//! `etcd.snapshot` saves what etcd has, in the folder of the run; `etcd.wipe` deletes all that etcd has and
//! restores it from there: whatever was written in between is forgotten, epochs too.
//!
//! Members are held down without an end for the moment in which their data are exchanged: one that began with half
//! of it would be worse than none. A guard, or `chaos recover`, gives them back what they had, or lets them go on with
//! what was restored for all of them. Before that moment their holds end by themselves, and they have what they had.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};
use topology::RegionId;
use topology::address::Port;

use super::ask::{self, PAUSE};
use super::{keep_down, swap, tools};
use crate::fault::{Bench, Injection, hold};
use crate::process::Process;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label_within};

/// Of what a member was started with, what its data are made by, too.
const FLAGS: [&str; 4] =
    ["name", "initial-cluster", "initial-cluster-token", "initial-advertise-peer-urls"];
const DATA: &str = "data-dir";

pub(in crate::fault) async fn snapshot(
    bench: &Bench<'_>,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let leader = ask::leader(bench.platform, bench.action.verify_within).await?;
    let revision = ask::view(bench.platform, &leader).await?.revision()?;
    let address = ask::address(bench.platform, &leader, Port::EtcdClient)?;
    let file = file(bench);
    injection.begin(&bench.clock);
    tools::save(&format!("http://{address}"), &file).await?;
    injection.step(&bench.clock, format!("saved a snapshot of {}", ask::name(&leader)));
    let size = fs::metadata(&file).with_context(|| format!("look at {}", file.display()))?;
    injection.proof.push(format!(
        "{} has {} bytes, of revision {revision} or later",
        file.display(),
        size.len()
    ));
    Ok(())
}

pub(in crate::fault) async fn wipe(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (platform, ttl, within) = (bench.platform, bench.action.ttl, bench.action.verify_within);
    let file = file(bench);
    ensure!(file.exists(), "find {}: etcd.snapshot comes first", file.display());
    let regions: Vec<RegionId> = platform.spec.regions.iter().map(|r| r.id.clone()).collect();
    let leader = ask::leader(platform, within).await?;
    let before = ask::view(platform, &leader).await?.revision()?;
    let folder = swap::folder(&platform.run_dir);

    // Lifted last: until then nobody runs on what is exchanged.
    let mut holds = BTreeSet::new();
    for region in &regions {
        holds.insert(hold::place_longer(bench, safeguard, &ask::name(region))?);
    }
    let label = label_within(bench.run, &bench.action.name, safeguard.upcoming());
    let aside = folder.join(label);
    safeguard.intend(Undo::Etcd { aside: aside.clone() }, ttl)?;
    injection.begin(&bench.clock);
    fs::create_dir_all(&aside).with_context(|| format!("make {}", aside.display()))?;
    for region in &regions {
        let process = platform.running(&ask::name(region))?;
        let data = PathBuf::from(flag(process, DATA)?);
        swap::ensure_is(&data, &folder.join(region.as_str()))?;
        let made = aside.join(region.as_str());
        let mut flags = vec![format!("--{DATA}={}", made.display())];
        for name in FLAGS {
            flags.push(format!("--{name}={}", flag(process, name)?));
        }
        tools::restore(&file, &flags).await?;
        swap::mark(&aside, region.as_str())?;
    }
    keep_down(bench, &regions, injection).await?;
    for region in &regions {
        hold::prolong(bench, &ask::name(region))?;
    }
    for region in &regions {
        swap::exchange(&aside, region.as_str())?;
    }
    swap::keep(&aside)?;
    injection.step(&bench.clock, "deleted what etcd had, and restored it from the snapshot");
    safeguard.revert(&holds)?;
    let after = until_whole(bench, &regions, within).await?;
    injection.step(&bench.clock, "started every member again");
    ensure!(after < before, "see etcd put back: revision {before} is {after} now");
    injection.proof.push(format!("revision {before} of etcd is {after} now"));
    injection.proof.push("every member follows one leader, and reads what holds now".to_owned());
    Ok(())
}

/// Waits until all members follow one leader, and answer what takes a majority. Returns the lowest revision that
/// any of them said it had: once two of them are there, everybody writes again.
async fn until_whole(
    bench: &Bench<'_>,
    regions: &[RegionId],
    within: Duration,
) -> anyhow::Result<u64> {
    let due = Instant::now() + within;
    let mut lowest: Option<u64> = None;
    loop {
        let views = ask::views(bench.platform).await;
        for view in &views {
            let revision = view.revision()?;
            lowest = Some(lowest.map_or(revision, |lowest| lowest.min(revision)));
        }
        if let Some(leader) = views.iter().find(|view| view.leads())
            && views.len() == regions.len()
            && views.iter().all(|view| view.follows(leader))
            && ask::refusal(bench.platform, &leader.region).await.is_ok_and(|why| why.is_none())
        {
            return lowest.context("find a revision");
        }
        ensure!(Instant::now() < due, "see every member of etcd follow one leader: {views:?}");
        sleep(PAUSE).await;
    }
}

/// Where the run keeps its snapshot; it stays there, for whoever looks into the run.
fn file(bench: &Bench<'_>) -> PathBuf {
    bench.platform.drills().join(bench.run).join("etcd-snapshot.db")
}

/// Returns what a member was told when it was started.
fn flag(process: Process, name: &str) -> anyhow::Result<String> {
    let start = format!("--{name}=");
    let arguments = process.arguments();
    // Of two of one name etcd takes the last.
    let found = arguments.iter().rev().find_map(|word| word.strip_prefix(&start));
    found
        .map(str::to_owned)
        .with_context(|| format!("find --{name} among the arguments of process {}", process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_was_told_last_counts() {
        let mut member = std::process::Command::new("sh");
        let words = ["--name=east", "--initial-cluster=a=b,c=d", "--initial-cluster=a=b"];
        member.args(["-c", "read line"]).args(words).stdin(std::process::Stdio::piped());
        let mut member = member.spawn().unwrap();
        let process = Process::with_pid(member.id()).unwrap();
        // In the middle of an exec a process has no arguments at all.
        while !process.arguments().iter().any(|word| word == words[2]) {
            std::thread::yield_now();
        }
        assert_eq!(flag(process, "name").unwrap(), "east");
        assert_eq!(flag(process, "initial-cluster").unwrap(), "a=b");
        assert!(flag(process, "data-dir").is_err());
        member.kill().unwrap();
        member.wait().unwrap();
    }
}
