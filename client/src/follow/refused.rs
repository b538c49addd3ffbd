//! What was offered and not used.

use std::collections::BTreeMap;

use topology::Version;

/// The reason of what could not be read at all.
pub(super) const MALFORMED: &str = "malformed";

/// Refusals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many, by reason.
    pub counts: BTreeMap<&'static str, u64>,
    /// The last one, in words.
    pub last: Option<String>,
    /// What it was about: the same is read again every few seconds, and counted once.
    about: Option<(Version, &'static str)>,
}

impl Refused {
    /// Every reason there is.
    pub fn reasons() -> impl Iterator<Item = &'static str> {
        topology::snapshot::Refusal::CODES.into_iter().chain([MALFORMED])
    }

    /// Adds a refusal, and returns whether it is another one than the last.
    pub(super) fn add(&mut self, version: Version, code: &'static str, why: &str) -> bool {
        if self.about.replace((version, code)) == Some((version, code)) {
            return false;
        }
        *self.counts.entry(code).or_default() += 1;
        self.last = Some(why.to_owned());
        true
    }
}
