//! `disk.full` on a volume of its own (`platform up --volumes`): a file takes all the room that is left, and
//! whatever is freed, until healed. Then the kernel says `ENOSPC`, as it does to whoever runs out of disk.
//! The file has no name: the kernel frees it with the process that has it open.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::{file, mounts};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};
use topology::SiteId;

use super::{Bench, Injection};
use crate::helper;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label};

/// A page of a database needs as much; what is less is no room.
const PAGE: u64 = 8192;
/// Sooner than a server has used what it has just freed.
const LOOK: Duration = Duration::from_millis(5);
/// What PostgreSQL writes into its log when the kernel says `ENOSPC`.
const NO_SPACE: &str = "No space left on device";

/// Returns the volume that a data folder has for itself; none where it is on the machine's disk.
pub(super) fn volume_of(data: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Some(place) = data.parent() else { return Ok(None) };
    Ok(mounts::is_mounted(place)?.then(|| place.to_owned()))
}

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    volume: &Path,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let ttl = bench.action.ttl;
    let run_dir = &bench.platform.run_dir;
    let label = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
    safeguard.intend(Undo::End { label: label.clone() }, ttl)?;
    let log = run_dir.join("logs").join(format!("{site}-postgres.log"));
    let told_before = fs::metadata(&log).map_or(0, |found| found.len());
    injection.begin(&bench.clock);
    let words = ["ballast".to_owned(), volume.to_string_lossy().into_owned()];
    helper::start(None, &label, &words, ttl)?;
    let due = Instant::now() + bench.action.verify_within;
    while room(volume)? >= PAGE {
        ensure!(Instant::now() < due, "see the volume of {site} full: {} left", room(volume)?);
        sleep(LOOK).await;
    }
    injection.step(&bench.clock, format!("filled the volume of PostgreSQL of {site}"));
    while !says_no_space(&log, told_before)? {
        ensure!(Instant::now() < due, "see PostgreSQL of {site} meet ENOSPC in {}", log.display());
        sleep(LOOK).await;
    }
    injection.proof.push(format!(
        "statfs of {} says that {} bytes are left; {} ms after that PostgreSQL of {site} wrote \"{NO_SPACE}\"",
        volume.display(),
        room(volume)?,
        bench.clock.now().saturating_sub(injection.ended).as_millis()
    ));
    Ok(())
}

/// The helper's part: takes what is there, and what is freed, for as long as it lives.
pub(crate) async fn fill(volume: &Path, ttl: Duration) -> anyhow::Result<()> {
    let told = volume.display();
    let ballast = file::unnamed(volume);
    let ballast = ballast.with_context(|| format!("make a file without a name in {told}"))?;
    let due = Instant::now() + ttl;
    while Instant::now() < due {
        take_all(&ballast, room(volume)?).with_context(|| format!("fill {told}"))?;
        sleep(LOOK).await;
    }
    Ok(())
}

/// Makes a file larger by as much as there is room for; what the file system keeps for its own lists is
/// found by trying for less and less.
fn take_all(ballast: &File, room: u64) -> anyhow::Result<()> {
    /// The smallest piece there is.
    const BLOCK: u64 = 4096;
    let mut piece = room;
    while piece >= BLOCK {
        let length = ballast.metadata()?.len();
        match fallocate(ballast, FallocateFlags::empty(), length, piece) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::NOSPC) => piece /= 2,
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Returns the bytes that are left on a volume.
fn room(volume: &Path) -> anyhow::Result<u64> {
    let found = statvfs(volume).with_context(|| format!("look at {}", volume.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether a log says so since it was so long.
fn says_no_space(log: &Path, since: u64) -> anyhow::Result<bool> {
    let told = || format!("read {}", log.display());
    let mut file = File::open(log).with_context(told)?;
    file.seek(SeekFrom::Start(since)).with_context(told)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).with_context(told)?;
    Ok(String::from_utf8_lossy(&text).contains(NO_SPACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_from_where_it_was() {
        let log = std::env::temp_dir().join(format!("chaos-no-space-{}", std::process::id()));
        let line = format!("PANIC:  could not write to file: {NO_SPACE}\n");
        fs::write(&log, &line).unwrap();
        let length = line.len() as u64;
        assert!(says_no_space(&log, 0).unwrap());
        assert!(!says_no_space(&log, length).unwrap());
        fs::write(&log, format!("{line}{line}")).unwrap();
        assert!(says_no_space(&log, length).unwrap());
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn ballast_takes_as_much_as_there_is() {
        let ballast = file::unnamed(&std::env::temp_dir()).unwrap();
        take_all(&ballast, 64 << 10).unwrap();
        take_all(&ballast, 4096).unwrap();
        take_all(&ballast, 100).unwrap();
        assert_eq!(ballast.metadata().unwrap().len(), (64 << 10) + 4096);
    }
}
