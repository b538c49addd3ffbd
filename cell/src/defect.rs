//! What a cell does wrong on purpose, so that a drill's check is seen to catch it (`make selftest`).
//!
//! Nothing of it happens unless the cargo feature `defects` is on, which no release build can have, and
//! `BULKHEAD_DEFECT` names it. Without the feature the compiler sees that it cannot.

#[cfg(all(feature = "defects", not(debug_assertions)))]
compile_error!(
    "the feature `defects` makes a cell lose data on purpose: it is for `make selftest`, not for a release"
);

/// Which defect a site has.
const NAME: &str = "BULKHEAD_DEFECT";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A strong write is answered once its commit has been sent, whatever comes of it.
    AckBeforeCommit,
    /// An `Idempotency-Key` is not remembered.
    NoDeduplication,
    /// A ticket is read from a standby's database, and shown as if it were the active site's.
    StrongReadFromStandby,
}

impl Defect {
    fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::NoDeduplication => "no-deduplication",
            Self::StrongReadFromStandby => "strong-read-from-standby",
        }
    }

    pub(crate) fn is_on(self) -> bool {
        cfg!(feature = "defects")
            && std::env::var_os(NAME).is_some_and(|named| named == self.name())
    }
}
