//! Which pieces of WAL lead from a base backup to now, and whether they are all there.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::agent::postgres::{Segment, SegmentSize};

/// Whether the archive leads on without a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Continuity {
    Whole,
    /// This is missing, and this server still has it.
    Repairable(Vec<Segment>),
    /// This is missing for good: from the first of it on, nothing can be restored.
    Broken(Vec<Segment>),
}

/// Compares what must be in the archive with what is.
#[must_use]
pub(super) fn continuity(
    required: &[Segment],
    archived: &BTreeSet<Segment>,
    local: &BTreeSet<Segment>,
) -> Continuity {
    let missing: Vec<Segment> =
        required.iter().filter(|segment| !archived.contains(segment)).copied().collect();
    if missing.is_empty() {
        Continuity::Whole
    } else if missing.iter().all(|segment| local.contains(segment)) {
        Continuity::Repairable(missing)
    } else {
        Continuity::Broken(missing.into_iter().filter(|one| !local.contains(one)).collect())
    }
}

/// Says which segments, for people: the first, and how many.
#[must_use]
pub(super) fn told(segments: &[Segment], size: SegmentSize) -> String {
    let mut text = segments.first().map(|first| size.name(*first)).unwrap_or_default();
    if segments.len() > 1 {
        write!(text, " and {} more", segments.len() - 1).expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests;
