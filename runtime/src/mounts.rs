//! File systems that are mounted below a folder, as the kernel tells of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Whoever was killed a moment ago may still have a file open.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Returns where something is mounted below a folder, what is mounted last first.
pub fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
    let mut found: Vec<PathBuf> = parse(&text)
        .into_iter()
        .filter(|place| place.starts_with(folder) && place != folder)
        .collect();
    found.reverse();
    Ok(found)
}

/// Unmounts what is mounted somewhere; it is no error if nothing is. Waits for those who still use it.
pub fn unmount(place: &Path) -> anyhow::Result<()> {
    let told = place.display();
    let mut said = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(PAUSE);
        }
        if !below(place.parent().unwrap_or(place))?.iter().any(|mounted| mounted == place) {
            return Ok(());
        }
        let output = Command::new("umount").arg(place).output();
        let output = output.context("run umount, which is of mount")?;
        String::from_utf8_lossy(&output.stderr).trim().clone_into(&mut said);
    }
    bail!("unmount {told}: {said}")
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
}
