//! `disk.slow`: everything of a cell's active PostgreSQL writes to its disk so many times a second at most,
//! until healed; the others' writes to the same disk are as fast as ever.
//!
//! A cgroup holds it to that, by the `blkio` controller of v1 or `io.max` of v2. What proves it is a small
//! file beside the data, on the same disk, that is written through to it, from outside and then from within.
//! It has no name: the kernel removes it with the process that has it open.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::file;
use rustix::fs::{fdatasync, major, minor};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, timeout_at};
use topology::SiteId;

use super::{Bench, Injection};
use crate::freeze::Cgroup;
use crate::helper;
use crate::process::{Process, tree};
use crate::safeguard::Safeguard;
use crate::terminal::print;
use crate::undo::{Undo, label};

/// Of the time that so few writes take, this much must be seen, in per cent: the first one is free.
const SEEN: u32 = 60;
/// A page of a database.
const PAGE: usize = 8192;
/// Of so many the middle one says how long a write takes.
const WRITES: usize = 5;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    writes: u32,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let ttl = bench.action.ttl;
    let due = Instant::now() + bench.action.verify_within;
    let data = bench.platform.postgres_data(site);
    let disk = disk_of(&data)?;
    let postmaster = bench.platform.postmaster(site).context("find the postmaster")?;
    let cgroup = Cgroup::of_disk(postmaster, safeguard);
    let cgroup = cgroup.context("find a cgroup hierarchy that limits writes: there is none")?;
    // The probe is gone before the disk is quick again.
    let run_dir = &bench.platform.run_dir;
    let label = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
    let folder = data.parent().context("find a place beside the data")?;
    safeguard.intend_all([Undo::Leave(cgroup.clone()), Undo::End { label: label.clone() }], ttl)?;
    injection.begin(&bench.clock);
    ensure!(cgroup.make(), "make {cgroup}: it cannot be written to");
    let words = ["write".to_owned(), folder.to_string_lossy().into_owned()];
    let mut probe = helper::start(None, &label, &words, ttl)?;
    let mut said = BufReader::new(probe.stdout.take().context("hear the helper")?).lines();
    let mut took = async || {
        let line = timeout_at(due, said.next_line()).await.context("hear the helper in time")?;
        let line = line.context("hear the helper")?.context("hear the helper: it has ended")?;
        let micros = line.parse().with_context(|| format!("read a time from {line:?}"))?;
        anyhow::Ok(Duration::from_micros(micros))
    };
    let before = took().await?;
    cgroup.limit_writes(&disk, writes)?;
    let helper = probe.id().and_then(Process::with_pid).context("find the helper running")?;
    while !cgroup.take_in(&tree(&[postmaster, helper]))? {
        ensure!(Instant::now() < due, "take PostgreSQL of {site} into {cgroup}");
    }
    injection.step(&bench.clock, format!("left PostgreSQL of {site} {writes} writes a second"));
    let least = Duration::from_secs(1) / writes * SEEN / 100;
    loop {
        let after = took().await?;
        if after >= least {
            injection.proof.push(format!(
                "a page took {} ms to be on disk {disk}, and takes {} ms for whoever is in {cgroup}",
                before.as_millis(),
                after.as_millis()
            ));
            break;
        }
        ensure!(
            Instant::now() < due,
            "see a page take {least:?} to be on disk: it takes {after:?}"
        );
    }
    probe.kill().await.context("end the helper")
}

/// The helper's part: writes pages through to the disk, and says after every few how many microseconds one
/// takes.
pub(crate) fn write(folder: &Path, ttl: Duration) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt as _;

    let told = folder.display();
    let probe = file::unnamed(folder);
    let probe = probe.with_context(|| format!("make a file without a name in {told}"))?;
    let due = Instant::now() + ttl;
    let mut round = 0_u8;
    while Instant::now() < due {
        round = round.wrapping_add(1);
        let mut times = [Duration::ZERO; WRITES];
        for time in &mut times {
            let begun = Instant::now();
            probe
                .write_all_at(&[round; PAGE], 0)
                .with_context(|| format!("write a page in {told}"))?;
            fdatasync(&probe).with_context(|| format!("write a page in {told} to its disk"))?;
            *time = begun.elapsed();
        }
        times.sort_unstable();
        print(&times[WRITES / 2].as_micros().to_string())?;
    }
    Ok(())
}

/// Returns the whole disk that a folder is on, as the kernel numbers it; of a partition, the disk it is part
/// of.
fn disk_of(folder: &Path) -> anyhow::Result<String> {
    let found = fs::metadata(folder).with_context(|| format!("look at {}", folder.display()))?;
    let number = format!("{}:{}", major(found.dev()), minor(found.dev()));
    let device = Path::new("/sys/dev/block").join(&number);
    ensure!(device.exists(), "find the disk of {}: it is on none", folder.display());
    if !device.join("partition").exists() {
        return Ok(number);
    }
    let whole = fs::canonicalize(&device).context("find a partition's disk")?.join("../dev");
    let whole = fs::read_to_string(&whole).with_context(|| format!("read {}", whole.display()))?;
    Ok(whole.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_no_disk_has_none() {
        let found = disk_of(Path::new("/proc")).unwrap_err();
        assert_eq!(found.to_string(), "find the disk of /proc: it is on none");
    }
}
