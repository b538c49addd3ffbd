//! Processes of this machine, named for good: found in `/proc`, signalled through a pidfd.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process for good: a pid alone may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

/// A living process and its place among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    pub process: Process,
    pub parent: u32,
    pub group: u32,
}

/// `PF_EXITING` of the kernel.
const EXITING: u32 = 0x4;

impl Process {
    /// Returns the process that has this pid now; `None` if none has, or only a zombie.
    #[must_use]
    pub fn with_pid(pid: u32) -> Option<Self> {
        living(pid).map(|living| living.process)
    }

    /// Returns the process this is.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::with_pid(std::process::id())
    }

    /// Returns the processes that have this pid where they live: where that is another process namespace than
    /// this one, it is not their pid here. In each namespace there can be one.
    #[must_use]
    pub fn with_own_pid(pid: u32) -> Vec<Self> {
        let has_it = |here: &u32| {
            let status = fs::read_to_string(format!("/proc/{here}/status"));
            status.is_ok_and(|status| own_pid(&status).unwrap_or(*here) == pid)
        };
        pids().filter(has_it).filter_map(Self::with_pid).collect()
    }

    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::with_pid(self.pid) == Some(self)
    }

    /// Returns whether it does nothing any more but end. The first process of a process namespace has killed
    /// everybody there by then, and is alive until somebody has waited for each of them, which may take the
    /// one who does that for orphans of this machine some seconds.
    #[must_use]
    pub fn is_ending(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid));
        let is_ending =
            stat.is_ok_and(|stat| flags(&stat).is_some_and(|flags| flags & EXITING != 0));
        // Looked at after reading: what was read is its own.
        is_ending && self.is_alive()
    }

    /// Returns the arguments it was started with.
    #[must_use]
    pub fn arguments(self) -> Vec<String> {
        let text = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = text.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// Returns every process started by this one, by those, and so on; children before parents.
    #[must_use]
    pub fn descendants(self) -> Vec<Self> {
        let mut children: BTreeMap<u32, Vec<Self>> = BTreeMap::new();
        for living in all() {
            children.entry(living.parent).or_default().push(living.process);
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

    /// Sends it a signal, and nobody else who may have its pid by now. A process that is gone
    /// already is no error.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("not a pid"))?;
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            opened => opened?,
        };
        // Looked at after opening: the descriptor cannot come to mean another one any more.
        if !self.is_alive() {
            return Ok(());
        }
        match pidfd_send_signal(&fd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

/// Returns every living process.
#[must_use]
pub fn all() -> Vec<Living> {
    pids().filter_map(living).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn living(pid: u32) -> Option<Living> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Returns field 9 of `/proc/PID/stat`.
fn flags(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(6)?.parse().ok()
}

/// Returns the pid that a process has where it lives, from its `/proc/PID/status`: the last of those it has,
/// from this namespace inwards. A kernel without process namespaces does not say.
fn own_pid(status: &str) -> Option<u32> {
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    pids.split_whitespace().next_back()?.parse().ok()
}

/// The second field is the program's name in parentheses, and may contain anything. Zombies are
/// dead: nobody has waited for them yet.
fn parse(pid: u32, text: &str) -> Option<Living> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(Living {
        process: Process { pid, start_time: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b) S 7 41 42 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 98765 1 2";
        let living = parse(42, line).unwrap();
        assert_eq!((living.parent, living.group, living.process.start_time), (7, 41, 98765));
        assert_eq!(parse(42, &line.replace(") S", ") Z")), None);
    }

    #[test]
    fn the_first_process_of_a_namespace_that_waits_for_others_to_be_waited_for_is_ending() {
        let init = "8517 (platform) S 1 8517 8489 0 -1 4194572 388 0 0 0 0 0 0 0 20 0 1 0 3764 0 0";
        assert!(flags(init).is_some_and(|flags| flags & EXITING != 0));
        assert!(!Process::own().unwrap().is_ending());
    }

    #[test]
    fn the_pid_a_process_has_where_it_lives_is_the_innermost() {
        assert_eq!(own_pid("Name:\tcat\nPid:\t42\nNSpid:\t42\t7\t1\nNSpgid:\t42\n"), Some(1));
        assert_eq!(own_pid("Pid:\t42\nNSpid:\t42\n"), Some(42));
        assert_eq!(own_pid(""), None);
        let own = Process::own().unwrap();
        assert_eq!(Process::with_own_pid(own.pid), [own]);
    }

    #[test]
    fn the_own_process_is_alive_and_one_with_another_start_time_is_not() {
        let own = Process::own().unwrap();
        assert!(own.is_alive());
        assert!(!Process { start_time: own.start_time + 1, ..own }.is_alive());
    }
}
