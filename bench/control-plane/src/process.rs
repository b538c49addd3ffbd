//! A process of this benchmark, and what it has used.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use runtime::child;

/// `USER_HZ`, in which the kernel counts for everybody.
const TICK: Duration = Duration::from_millis(10);

/// Killed when dropped.
pub(crate) struct Process(Child);

/// What a process has used since it was started, and the memory it uses now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    pub(crate) memory: u64,
    /// Bytes that it had written to disk.
    pub(crate) written: u64,
}

impl Process {
    /// Starts a program that the kernel kills with this one.
    pub(crate) fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = String>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = fs::File::create(log).with_context(|| format!("make {}", log.display()))?;
        let child = child::tied("KILL", None)
            .arg(program)
            .args(arguments)
            .stdout(file.try_clone().context("share the log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self(child))
    }

    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        used(&self.0.id().to_string())
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill().context("kill a process")?;
        self.0.wait().context("wait for a process")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as good as killed.
        drop(self.kill());
    }
}

/// Of this process itself: the stand-ins for the agents.
pub(crate) fn own() -> anyhow::Result<Used> {
    used("self")
}

impl Used {
    /// What was used since `before`; the memory is what it is now.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            memory: self.memory,
            written: self.written.saturating_sub(before.written),
        }
    }
}

fn used(process: &str) -> anyhow::Result<Used> {
    let read = |file: &str| {
        let path = format!("/proc/{process}/{file}");
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    };
    let ticks = ticks(&read("stat")?).context("understand a process's times")?;
    let memory = field(&read("status")?, "VmRSS:").context("find a process's memory")? * 1024;
    let written = field(&read("io")?, "write_bytes:").context("find what a process wrote")?;
    Ok(Used { cpu: TICK * ticks, memory, written })
}

/// The 14th and 15th field; the second, the program's name, may have spaces in it.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let (user, kernel): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + kernel)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_are_counted_though_the_name_has_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 1 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(field("read_bytes: 3\nwrite_bytes: 4096\n", "write_bytes:"), Some(4096));
    }
}
