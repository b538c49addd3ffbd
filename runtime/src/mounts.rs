//! File systems that are mounted below a folder, as the kernel tells of them.
//!
//! The kernel names places without symbolic links and `..`; so does everything here, however a folder is
//! called by who asks.

use std::fs;
use std::io::ErrorKind;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::clock::BootTime;
use crate::program;

/// How long unmounting takes at most, however many there are: whoever was killed a moment ago may still
/// have a file open, and what is in memory is written.
pub const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// Returns where something is mounted below a folder, what is mounted last first.
pub fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = as_named(folder)? else { return Ok(Vec::new()) };
    let mut found = all()?;
    found.retain(|place| place.starts_with(&folder) && *place != folder);
    found.reverse();
    Ok(found)
}

/// Whether something is mounted just there.
pub fn is_mounted(place: &Path) -> anyhow::Result<bool> {
    let Some(place) = as_named(place)? else { return Ok(false) };
    Ok(all()?.contains(&place))
}

/// Unmounts what is mounted somewhere; it is no error if nothing is. Waits for those who still use it,
/// for [`PATIENCE`] at most.
pub fn unmount(place: &Path) -> anyhow::Result<()> {
    unmount_all(&[place.to_owned()])
}

/// The same for several, which have the time together. One that is in use does not keep the others.
pub fn unmount_all(places: &[PathBuf]) -> anyhow::Result<()> {
    unmount_within(places, PATIENCE, umount)
}

/// Asks in turns until nothing is left, or no other turn fits into the time; once in any case. All of a turn
/// are asked at once, so that one that takes long takes no time from the others; what is mounted on another
/// one makes that one wait for the next turn.
fn unmount_within(
    places: &[PathBuf],
    patience: Duration,
    umount: impl Fn(&Path, Duration) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let until = BootTime::now() + patience;
    let mut asked: Option<Vec<String>> = None;
    loop {
        let mut left = Vec::new();
        for place in places {
            if is_mounted(place)? {
                left.push(place);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if let Some(complaints) = asked {
            // Asked without any time, they would have no better complaint than that.
            if BootTime::now() + PAUSE >= until {
                let left: Vec<_> = left.iter().map(|place| place.display().to_string()).collect();
                let (left, complaints) = (left.join(", "), complaints.join("; "));
                bail!("unmount {left} within {patience:?}: {complaints}");
            }
            sleep(PAUSE);
        }
        let (within, umount) = (until.since(BootTime::now()), &umount);
        // Threads are where the calling one is: in its namespaces.
        let told: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> =
                left.into_iter().map(|place| scope.spawn(move || umount(place, within))).collect();
            let ended = asked.into_iter().map(thread::ScopedJoinHandle::join);
            ended.map(|told| told.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let complaints = told.into_iter().filter_map(Result::err);
        asked = Some(complaints.map(|err| format!("{err:#}")).collect());
    }
}

fn umount(place: &Path, within: Duration) -> anyhow::Result<()> {
    ensure!(!within.is_zero(), "no time is left for {}", place.display());
    let mut command = Command::new("umount");
    command.arg(place);
    program::run_within(command, "", within).map(|_| ()).context("umount is of mount")
}

/// Returns what the kernel calls a place; none if it is not there.
fn as_named(place: &Path) -> anyhow::Result<Option<PathBuf>> {
    match fs::canonicalize(place) {
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        named => named.map(Some).with_context(|| format!("look at {}", place.display())),
    }
}

fn all() -> anyhow::Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
    Ok(parse(&text))
}

/// The fifth field is the place; what would end a field is written in octal.
fn parse(mountinfo: &str) -> Vec<PathBuf> {
    let place = |line: &str| line.split(' ').nth(4).map(unescape).map(PathBuf::from);
    mountinfo.lines().filter_map(place).collect()
}

fn unescape(text: &str) -> String {
    let ends = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    ends.iter().fold(text.to_owned(), |text, (code, letter)| text.replace(code, letter))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::{Barrier, Mutex, mpsc};

    use super::*;

    #[test]
    fn places_are_read_as_they_are_called() {
        let text = "22 27 0:20 / /sys rw,nosuid - sysfs sysfs rw\n\
                    90 27 7:0 / /tmp/a\\040b/sites/c1@east/postgres rw,relatime - ext4 /dev/loop0 rw\n";
        let expected = ["/sys", "/tmp/a b/sites/c1@east/postgres"].map(PathBuf::from);
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn nothing_is_mounted_below_what_is_none_and_unmounting_it_is_no_error() {
        let nowhere = std::env::temp_dir().join(format!("mounts-{}", std::process::id()));
        assert_eq!(below(&nowhere).unwrap(), Vec::<PathBuf>::new());
        unmount(&nowhere).unwrap();
    }

    /// `/proc` is mounted wherever this runs.
    #[test]
    fn a_place_is_found_whatever_it_is_called() {
        let link = std::env::temp_dir().join(format!("mounts-link-{}", std::process::id()));
        symlink("/", &link).unwrap();
        for proc in [PathBuf::from("/proc"), link.join("proc"), PathBuf::from("/sys/../proc")] {
            assert!(is_mounted(&proc).unwrap(), "{}", proc.display());
        }
        assert!(below(&link).unwrap().contains(&PathBuf::from("/proc")));
        assert!(!is_mounted(Path::new("/proc/self")).unwrap());
        fs::remove_file(&link).unwrap();
    }

    /// Nothing of this machine is unmounted: who is asked to only says that it is in use.
    #[test]
    fn one_that_is_in_use_does_not_keep_the_others_and_what_is_left_is_named() {
        let asked = Mutex::new(Vec::new());
        let busy = |place: &Path, _: Duration| {
            asked.lock().unwrap().push(place.to_owned());
            bail!("{} is busy", place.display())
        };
        let places = ["/proc", "/nowhere/at/all", "/dev"].map(PathBuf::from);
        let told = unmount_within(&places, Duration::ZERO, busy).unwrap_err().to_string();
        assert_eq!(told, "unmount /proc, /dev within 0ns: /proc is busy; /dev is busy");
        let mut asked = asked.into_inner().unwrap();
        asked.sort();
        assert_eq!(asked, ["/dev", "/proc"].map(PathBuf::from));
    }

    /// Each waits for the other to be asked: one after the other, neither would come to an end.
    #[test]
    fn one_that_takes_long_takes_no_time_from_the_others() {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let both = Barrier::new(2);
            let slow = |_: &Path, _: Duration| {
                both.wait();
                bail!("it is busy")
            };
            let places = ["/proc", "/dev"].map(PathBuf::from);
            tell.send(unmount_within(&places, Duration::ZERO, slow).is_err())
        });
        assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
    }
}
