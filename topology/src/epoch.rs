//! Numbers that only grow.

use std::fmt;

/// Counts changes of a cell's activation. Whoever saw a later epoch refuses an earlier one (I2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Orders what is read from etcd: the revision that wrote it, and before that the generation of
/// etcd's history. Restored from an older copy, etcd counts its revisions from there again; whoever
/// notices begins the next generation, under which low revisions are newer than high ones before.
///
/// Conditional writes compare the revision alone: it is what etcd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

impl Version {
    /// How many of the bits count revisions: a thousand writes a second for 34 years. Eight thousand
    /// generations are still exact in a reader whose numbers have 53 bits, and 16 million in ours.
    const REVISION_BITS: u32 = 40;
    const REVISION_MAX: u64 = (1 << Self::REVISION_BITS) - 1;
    const GENERATION_MAX: u64 = u64::MAX >> Self::REVISION_BITS;

    /// Returns the version of what `revision` wrote in this generation; beyond the bounds, the last
    /// one there is.
    #[must_use]
    pub fn at(generation: u64, revision: u64) -> Self {
        let (generation, revision) =
            (generation.min(Self::GENERATION_MAX), revision.min(Self::REVISION_MAX));
        Self(generation << Self::REVISION_BITS | revision)
    }

    #[must_use]
    pub fn generation(self) -> u64 {
        self.0 >> Self::REVISION_BITS
    }

    #[must_use]
    pub fn revision(self) -> u64 {
        self.0 & Self::REVISION_MAX
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_generation_is_newer_whatever_its_revision() {
        assert!(Version::at(1, 3) > Version::at(0, 900));
        assert!(Version::at(1, 4) > Version::at(1, 3));
        assert_eq!(Version::at(0, 900), Version(900));
        assert_eq!((Version::at(2, 7).generation(), Version::at(2, 7).revision()), (2, 7));
    }

    #[test]
    fn numbers_beyond_the_bounds_never_spill_into_each_other() {
        let last = Version::at(3, u64::MAX);
        assert_eq!((last.generation(), last.revision()), (3, Version::REVISION_MAX));
        assert_eq!(Version::at(u64::MAX, 0).revision(), 0);
    }
}
