//! A process on a core of its own, and what it has used.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::child;

/// On a busy machine the slowest of them takes a few seconds.
const START_MAX: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
/// `USER_HZ`, in which the kernel counts for everybody.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Process(Child);

impl Process {
    /// Starts a program on one core, and waits until it listens.
    pub(crate) fn start<'a>(
        core: u32,
        words: impl IntoIterator<Item = &'a str>,
        log: &Path,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let words: Vec<&str> = words.into_iter().collect();
        let file = fs::File::create(log).with_context(|| format!("make {}", log.display()))?;
        let child = child::tied("KILL", None)
            .args(["taskset", "-c", &core.to_string()])
            .args(&words)
            .stdout(file.try_clone().context("share the log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {}", words[0]))?;
        let mut process = Self(child);
        for _ in 0..START_MAX.as_millis() / LOOK.as_millis() {
            if TcpStream::connect(address).is_ok() {
                return Ok(process);
            }
            if let Some(status) = process.0.try_wait().context("look at a process")? {
                bail!("start {}: {status}; see {}", words[0], log.display());
            }
            sleep(LOOK);
        }
        bail!("start {}: it does not listen on {address}; see {}", words[0], log.display());
    }

    /// Returns the time it has used, its own and the kernel's for it.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.0.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        ticks(&text).map(|ticks| TICK * ticks).with_context(|| format!("understand {path}"))
    }

    /// Returns the memory it uses, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.0.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        resident(&text).with_context(|| format!("understand {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails for a process that has ended already, which is as good.
        if self.0.kill().is_ok() {
            self.0.wait().expect("a child that was killed can be waited for");
        }
    }
}

/// Fields 14 and 15 of `/proc/PID/stat`; the second may hold spaces, and ends at the last bracket.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_counted_whatever_the_program_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 1 0 100 1000 10";
        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(
            resident("00400000-7fff [rollup]\nRss:   2048 kB\nPss: 1 kB\n"),
            Some(2_097_152)
        );
    }
}
