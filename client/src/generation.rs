//! Proves from this process's own writes that etcd went back in time, and remembers it until somebody
//! has begun the next generation.
//!
//! Only writes prove anything: they are entries of etcd's log, so that of two in a row the later one
//! has the higher revision in any one history. A read may be stale, and tells at most that a
//! generation has been begun.

use std::sync::atomic::{AtomicU64, Ordering};

use topology::Version;

/// What a process knows of how far etcd had come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    highest: AtomicU64,
    /// How far etcd had come before it went back; 0 if it never did.
    lost: AtomicU64,
}

impl Progress {
    /// Returns the highest version known: taken before a write is sent, it must be below what the
    /// write comes back with.
    pub(crate) fn highest(&self) -> Version {
        Version(self.highest.load(Ordering::Acquire))
    }

    /// A generation was read, so that it has been begun.
    pub(crate) fn read(&self, generation: u64) {
        self.highest.fetch_max(Version::at(generation, 0).0, Ordering::AcqRel);
    }

    /// A write that was sent when `before` was the highest version has come back at `now`.
    pub(crate) fn wrote(&self, before: Version, now: Version) {
        if now < before {
            self.lost.fetch_max(before.0, Ordering::AcqRel);
        } else {
            self.highest.fetch_max(now.0, Ordering::AcqRel);
        }
    }

    /// Returns how far etcd had come before it went back, while nobody has begun a generation since.
    pub(crate) fn lost(&self) -> Option<Version> {
        let lost = Version(self.lost.load(Ordering::Acquire));
        let settled = lost == Version::default() || self.highest().generation() > lost.generation();
        (!settled).then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_below_one_that_was_answered_before_it_was_sent_proves_it() {
        let progress = written(&[100]);
        progress.wrote(progress.highest(), Version::at(0, 60));
        assert_eq!(progress.lost(), Some(Version::at(0, 100)));
        // Growing past it since proves nothing to the contrary.
        progress.wrote(progress.highest(), Version::at(0, 140));
        assert_eq!(progress.lost(), Some(Version::at(0, 100)));
        progress.wrote(progress.highest(), Version::at(1, 61));
        assert_eq!(progress.lost(), None);
    }

    #[test]
    fn answers_that_overtake_each_other_prove_nothing() {
        let progress = written(&[100]);
        let both = progress.highest();
        progress.wrote(both, Version::at(0, 102));
        progress.wrote(both, Version::at(0, 101));
        assert_eq!((progress.lost(), progress.highest()), (None, Version::at(0, 102)));
    }

    #[test]
    fn a_low_revision_of_a_later_generation_is_no_second_step_back() {
        let progress = written(&[100]);
        progress.wrote(progress.highest(), Version::at(1, 60));
        assert_eq!(progress.lost(), None);
    }

    #[test]
    fn a_generation_that_is_gone_proves_it_too() {
        let progress = written(&[100]);
        progress.read(2);
        progress.wrote(progress.highest(), Version::at(1, 900));
        assert_eq!(progress.lost().map(Version::generation), Some(2));
    }

    #[test]
    fn it_may_go_back_more_than_once() {
        let progress = written(&[100]);
        progress.wrote(progress.highest(), Version::at(1, 60));
        progress.wrote(progress.highest(), Version::at(1, 50));
        assert_eq!(progress.lost(), Some(Version::at(1, 60)));
    }

    fn written(revisions: &[u64]) -> Progress {
        let progress = Progress::default();
        for revision in revisions {
            progress.wrote(progress.highest(), Version::at(0, *revision));
        }
        progress
    }
}
