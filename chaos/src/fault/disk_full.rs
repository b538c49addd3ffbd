//! `disk.full`: a cell's active PostgreSQL has no room to write in, until healed.
//!
//! Where it has a volume of its own, that is filled (`ballast`). Else none of its files can be written beyond
//! its first pages: the kernel refuses with `EFBIG` where a full volume would say `ENOSPC`, and PostgreSQL
//! makes no difference. That needs no volume and no root: it is a limit of processes (`RLIMIT_FSIZE`), which
//! a helper sets on every PostgreSQL that is started in the same folder.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::program;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::time::{Instant, sleep};
use topology::SiteId;

use super::{Bench, Injection, ballast};
use crate::helper;
use crate::platform::{Platform, postmaster_of};
use crate::process::{Process, tree};
use crate::safeguard::Safeguard;
use crate::undo::{Undo, Undone, label};

/// Less than a segment of WAL, and more than what says which server runs: it starts, and cannot write.
const FILE_MAX: u64 = 64 << 10;
/// Sooner than a server that starts has begun to write.
const LOOK: Duration = Duration::from_millis(5);
/// A process that is being started while the limit is lifted has it from its parent.
const ROUNDS: usize = 3;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let ttl = bench.action.ttl;
    let data = bench.platform.postgres_data(site);
    if let Some(volume) = ballast::volume_of(&data)? {
        return ballast::inject(bench, site, &volume, safeguard, injection).await;
    }
    let postmaster = bench.platform.postmaster(site).context("find the postmaster")?;
    let run_dir = &bench.platform.run_dir;
    let label = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
    // The last is taken away first: nobody limits any more what the other lifts.
    safeguard.intend(Undo::Room { data: data.clone() }, ttl)?;
    safeguard.intend(Undo::End { label: label.clone() }, ttl)?;
    injection.begin(&bench.clock);
    let words = ["fill".to_owned(), data.to_string_lossy().into_owned()];
    helper::start(None, &label, &words, ttl)?;
    let due = Instant::now() + bench.action.verify_within;
    while file_limit(postmaster).is_some_and(|(soft, _)| soft != Some(FILE_MAX)) {
        ensure!(Instant::now() < due, "see PostgreSQL of {site} limited");
        sleep(LOOK).await;
    }
    injection.step(
        &bench.clock,
        format!("limited the files of PostgreSQL of {site}: it has no volume of its own"),
    );
    while postmaster.is_alive() {
        ensure!(Instant::now() < due, "see PostgreSQL of {site} end for want of room");
        sleep(LOOK).await;
    }
    injection.proof.push(format!(
        "PostgreSQL of {site}, process {}, ended {} ms after no file of its could be written beyond {} KiB",
        postmaster.pid,
        bench.clock.now().saturating_sub(injection.ended).as_millis(),
        FILE_MAX >> 10
    ));
    Ok(())
}

/// The helper's part: limits whichever server runs in the folder.
pub(crate) async fn fill(data: &Path, ttl: Duration) -> anyhow::Result<()> {
    let due = Instant::now() + ttl;
    while Instant::now() < due {
        if let Some(postmaster) = postmaster_of(data) {
            for process in tree(&[postmaster]) {
                if file_limit(process).is_some_and(|(soft, _)| soft != Some(FILE_MAX)) {
                    set(process, Some(FILE_MAX))?;
                }
            }
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Gives the server in a folder its room back.
pub(crate) fn free(data: &Path) -> anyhow::Result<Undone> {
    let mut undone = Undone::Before;
    for round in 0..ROUNDS {
        if round > 0 {
            std::thread::sleep(LOOK);
        }
        for process in postmaster_of(data).into_iter().flat_map(|postmaster| tree(&[postmaster])) {
            if let Some((soft, hard)) = file_limit(process)
                && soft != hard
            {
                set(process, hard)?;
                undone = Undone::Now;
            }
        }
    }
    Ok(undone)
}

/// Returns the folders of those servers of a platform that have no room.
pub(crate) fn of_drills(platform: &Platform) -> Vec<PathBuf> {
    let sites = platform.spec.cells.iter().flat_map(topology::spec::Cell::sites);
    let limited = |postmaster| file_limit(postmaster).is_some_and(|(soft, hard)| soft != hard);
    let all = sites.map(|site| platform.postgres_data(&site));
    all.filter(|data| postmaster_of(data).is_some_and(limited)).collect()
}

/// Sets how large a file a process may write; one that is gone needs no limit.
fn set(process: Process, soft: Option<u64>) -> anyhow::Result<()> {
    let Some((_, hard)) = file_limit(process) else { return Ok(()) };
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).context("read a pid")?;
    match prlimit(Some(pid), Resource::Fsize, Rlimit { current: soft, maximum: hard }) {
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(Errno::PERM) => set_as_owner(process, soft, hard),
        Err(err) => Err(err).with_context(|| format!("limit process {}", process.pid)),
    }
}

/// Root in a container may be nobody who limits others; it still becomes whose process it is.
fn set_as_owner(process: Process, soft: Option<u64>, hard: Option<u64>) -> anyhow::Result<()> {
    let folder = format!("/proc/{}", process.pid);
    // One that is gone has no folder.
    let Ok(owner) = std::fs::metadata(&folder) else { return Ok(()) };
    let told = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())])
        // What a helper that is ended has begun is not to be done after it.
        .args(["--clear-groups", "--pdeathsig", "KILL", "--", "prlimit", "--pid"])
        .arg(process.pid.to_string())
        .arg(format!("--fsize={}:{}", told(soft), told(hard)));
    match program::run(command, "") {
        Err(err) if process.is_alive() => Err(err).with_context(|| {
            format!("limit process {} as its owner; setpriv is of util-linux", process.pid)
        }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns how large a file a process may write, and how large it may say so itself; `None` in them is
/// no limit, and a process that is gone has none.
fn file_limit(process: Process) -> Option<(Option<u64>, Option<u64>)> {
    let text = std::fs::read_to_string(format!("/proc/{}/limits", process.pid)).ok()?;
    process.is_alive().then(|| parse(&text))?
}

fn parse(limits: &str) -> Option<(Option<u64>, Option<u64>)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file size"))?;
    let mut words = line.split_whitespace().map(|word| word.parse().ok());
    Some((words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_is_read_and_unlimited_is_none() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              7                    8                    seconds   \n\
                    Max file size             65536                unlimited            bytes     \n";
        assert_eq!(parse(text), Some((Some(65_536), None)));
    }

    #[test]
    fn a_process_is_limited_and_has_its_room_back() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::with_pid(child.id()).unwrap();
        let before = file_limit(process);
        set(process, Some(FILE_MAX)).unwrap();
        assert_eq!(file_limit(process).unwrap().0, Some(FILE_MAX));
        set(process, before.unwrap().1).unwrap();
        assert_eq!(file_limit(process), before.map(|(_, hard)| (hard, hard)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(file_limit(process), None);
    }
}
