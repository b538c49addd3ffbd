//! What the kernel says of processes and users: `/proc`, and nothing else.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// One process for good: a pid alone may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Field 22 of `/proc/PID/stat`.
    pub(crate) start_time: u64,
}

struct Stat {
    parent: u32,
    start_time: u64,
    is_zombie: bool,
}

impl Process {
    /// Returns the process that has this pid now; `None` if none has, or only a zombie.
    pub(crate) fn with_pid(pid: u32) -> Option<Self> {
        let stat = stat(pid)?;
        (!stat.is_zombie).then_some(Self { pid, start_time: stat.start_time })
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::with_pid(self.pid) == Some(self)
    }

    /// Sends a signal, unless the process is gone already.
    pub(crate) fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.is_alive())
            && let Err(err) = kill_process(pid, signal)
        {
            tracing::debug!(pid = self.pid, error = %err, "process went before the signal came");
        }
    }

    /// Returns every process started by this one, by those, and so on; children before parents.
    pub(crate) fn descendants(self) -> Vec<Self> {
        let mut children: BTreeMap<u32, Vec<Self>> = BTreeMap::new();
        for (pid, stat) in pids().filter_map(|pid| Some((pid, stat(pid)?))) {
            let process = Self { pid, start_time: stat.start_time };
            children.entry(stat.parent).or_default().push(process);
        }
        let mut found = vec![self];
        let mut next = 0;
        while let Some(process) = found.get(next).copied() {
            found.extend(children.remove(&process.pid).unwrap_or_default());
            next += 1;
        }
        found.remove(0);
        found.reverse();
        found
    }
}

pub(crate) fn own_process() -> Option<Process> {
    Process::with_pid(std::process::id())
}

pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in parentheses, and may contain anything.
fn parse(text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Some(Stat {
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 98765 1 2";
        let stat = parse(line).unwrap();
        assert_eq!((stat.parent, stat.start_time, stat.is_zombie), (7, 98765, false));
    }

    #[test]
    fn the_own_process_is_alive_and_one_with_another_start_time_is_not() {
        let own = own_process().unwrap();
        assert!(own.is_alive());
        assert!(!Process { start_time: own.start_time + 1, ..own }.is_alive());
    }
}
