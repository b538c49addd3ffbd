//! Stops processes for a while without ending them: one by one with a signal, or all at once in a
//! cgroup. Whoever freezes tells a [`Guard`] first, so that nothing stays frozen.

mod cgroup;
mod guard;
mod leftovers;
mod signal;

use std::fmt;

use crate::process::Process;

pub(crate) use cgroup::{Cgroup, freeze_trees};
pub(crate) use guard::{Guard, stand_guard};
pub(crate) use leftovers::{left, thaw_leftovers};
pub(crate) use signal::{stop_one, stop_trees};

/// What was frozen, and can be thawed by whoever knows this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frozen {
    /// By SIGSTOP.
    Process(Process),
    Cgroup(Cgroup),
}

impl Frozen {
    /// Lets it go on. Thawing what is thawed, or gone, is no error.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        match self {
            Self::Process(process) => signal::go_on(*process),
            Self::Cgroup(cgroup) => cgroup.thaw(),
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split('\t');
        match words.next()? {
            "process" => {
                let (pid, start_time) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Some(Self::Process(Process { pid, start_time }))
            }
            version => Cgroup::parse(version, words.next()?, words.next()?).map(Self::Cgroup),
        }
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "process\t{}\t{}", process.pid, process.start_time),
            Self::Cgroup(cgroup) => cgroup.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str) {
        assert_eq!(Frozen::parse(line).map(|frozen| frozen.to_string()), Some(line.to_owned()));
    }

    #[test]
    fn what_the_guard_is_told_is_what_it_understands() {
        check("process\t17\t98765");
        check("v1\t/sys/fs/cgroup/freezer/bulkhead-drill-1-2\t/sys/fs/cgroup/freezer/a b");
        check("v2\t/sys/fs/cgroup/bulkhead-drill-1-2\t/sys/fs/cgroup");
        assert_eq!(Frozen::parse("process\t17"), None);
        assert_eq!(Frozen::parse("v3\t/a\t/b"), None);
    }
}
