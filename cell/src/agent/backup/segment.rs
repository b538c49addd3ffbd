//! Pieces of WAL by number, and which of them lead from a base backup to now.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Bytes of WAL that share the middle part of a file's name.
const LOG: u64 = 1 << 32;
/// Digits in the name of one piece: timeline, log and place, eight each.
const NAME: usize = 24;

/// One file of WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// Counted from the beginning of the database.
    pub(super) number: u64,
    pub(super) timeline: u32,
}

/// How long a file is, which is chosen when a database is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentSize(u64);

impl SegmentSize {
    /// Returns `None` for a size PostgreSQL does not have.
    #[must_use]
    pub(super) fn new(bytes: u64) -> Option<Self> {
        (bytes > 0 && bytes <= LOG && bytes.is_power_of_two()).then_some(Self(bytes))
    }

    /// Reads a file's name; `None` for histories, backup labels and what is not whole.
    #[must_use]
    pub(super) fn segment(self, name: &str) -> Option<Segment> {
        if name.len() != NAME || !name.is_ascii() {
            return None;
        }
        let part = |from: usize| u64::from_str_radix(&name[from..from + 8], 16).ok();
        let number = part(8)? * (LOG / self.0) + part(16)?;
        Some(Segment { timeline: u32::try_from(part(0)?).ok()?, number })
    }

    #[must_use]
    pub(super) fn name(self, segment: Segment) -> String {
        let in_log = LOG / self.0;
        let (log, place) = (segment.number / in_log, segment.number % in_log);
        format!("{:08X}{log:08X}{place:08X}", segment.timeline)
    }

    /// Returns the folder of the archive that holds a segment.
    #[must_use]
    pub(super) fn folder(self, segment: Segment) -> String {
        let mut name = self.name(segment);
        name.truncate(16);
        name
    }
}

/// Where each timeline that leads to the current one began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History {
    /// Oldest first: the timeline, and the number of the segment it began in.
    begun: Vec<(u32, u64)>,
}

impl History {
    /// Reads what PostgreSQL wrote down about how `current` came to be: a line for each timeline
    /// before it, with the position at which it was left.
    #[must_use]
    pub(super) fn read(text: &str, current: u32, size: SegmentSize) -> Option<Self> {
        let mut begun = Vec::new();
        let mut from = 0;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut fields = line.split_whitespace();
            begun.push((fields.next()?.parse().ok()?, from));
            let (high, low) = fields.next()?.split_once('/')?;
            let high = u64::from_str_radix(high, 16).ok()?;
            from = ((high << 32) | u64::from_str_radix(low, 16).ok()?) / size.0;
        }
        begun.push((current, from));
        Some(Self { begun })
    }

    /// Returns the segment with a number: that of the last timeline that had begun by then, which has
    /// the earlier ones' part of it too.
    #[must_use]
    pub(super) fn segment(&self, number: u64) -> Segment {
        let begun = self.begun.iter().rev().find(|(_, from)| *from <= number);
        Segment { number, timeline: begun.map_or(1, |(timeline, _)| *timeline) }
    }
}

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
