//! The WAL as files and timelines: what a file is called, and which timelines lead to which.

/// Bytes of WAL that share the middle part of a file's name.
const LOG: u64 = 1 << 32;
/// Digits in the name of one piece: timeline, log and place, eight each.
const NAME: usize = 24;

/// One file of WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    /// Counted from the beginning of the database.
    pub(crate) number: u64,
    pub(crate) timeline: u32,
}

/// How long a file is, which is chosen when a database is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSize(u64);

impl SegmentSize {
    /// Returns `None` for a size PostgreSQL does not have.
    #[must_use]
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        (bytes > 0 && bytes <= LOG && bytes.is_power_of_two()).then_some(Self(bytes))
    }

    /// Reads a file's name; `None` for histories, backup labels and what is not whole.
    #[must_use]
    pub(crate) fn segment(self, name: &str) -> Option<Segment> {
        if name.len() != NAME || !name.is_ascii() {
            return None;
        }
        let part = |from: usize| u64::from_str_radix(&name[from..from + 8], 16).ok();
        let number = part(8)? * (LOG / self.0) + part(16)?;
        Some(Segment { timeline: u32::try_from(part(0)?).ok()?, number })
    }

    #[must_use]
    pub(crate) fn name(self, segment: Segment) -> String {
        let in_log = LOG / self.0;
        let (log, place) = (segment.number / in_log, segment.number % in_log);
        format!("{:08X}{log:08X}{place:08X}", segment.timeline)
    }

    /// Returns the folder of the archive that holds a segment.
    #[must_use]
    pub(crate) fn folder(self, segment: Segment) -> String {
        let mut name = self.name(segment);
        name.truncate(16);
        name
    }

    /// Returns the number of the segment with a position.
    #[must_use]
    pub(crate) fn number(self, position: u64) -> u64 {
        position / self.0
    }

    /// Returns the first position of a position's segment.
    #[must_use]
    pub(crate) fn start(self, position: u64) -> u64 {
        self.number(position) * self.0
    }
}

/// The timelines that lead to a server's current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// Oldest first: the timeline, and the position it began at.
    begun: Vec<(u32, u64)>,
}

/// Where one history goes on without another: the last timeline they share, and where on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    pub(crate) timeline: u32,
    pub(crate) at: u64,
}

/// A stretch of WAL on one timeline; to its end where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) timeline: u32,
    pub(crate) from: u64,
    pub(crate) to: Option<u64>,
}

impl History {
    /// Reads what PostgreSQL wrote down about how `current` came to be: a line for each timeline
    /// before it, with the position at which it was left.
    #[must_use]
    pub(crate) fn read(text: &str, current: u32) -> Option<Self> {
        let mut begun = Vec::new();
        let mut from = 0;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut fields = line.split_whitespace();
            begun.push((fields.next()?.parse().ok()?, from));
            from = parse_lsn(fields.next()?)?;
        }
        begun.push((current, from));
        Some(Self { begun })
    }

    #[must_use]
    pub(crate) fn current(&self) -> u32 {
        self.begun.last().map_or(1, |(timeline, _)| *timeline)
    }

    /// Returns the names of the files that lead a restored server here: one for each timeline but the first.
    pub(crate) fn files(&self) -> impl Iterator<Item = String> {
        self.begun.iter().skip(1).map(|(timeline, _)| format!("{timeline:08X}.history"))
    }

    /// Returns where the current timeline began.
    #[must_use]
    pub(crate) fn begun(&self) -> u64 {
        self.begun.last().map_or(0, |(_, begun)| *begun)
    }

    /// Returns whether the current timeline was begun where that one was left.
    #[must_use]
    pub(crate) fn is_left_at(&self, timeline: u32, at: u64) -> bool {
        matches!(self.begun[..], [.., (before, _), (_, begun)] if before == timeline && begun == at)
    }

    /// Returns the segment with a number: that of the last timeline that had begun by then, which has
    /// the earlier ones' part of it too.
    #[must_use]
    pub(crate) fn segment(&self, number: u64, size: SegmentSize) -> Segment {
        let begun = self.begun.iter().rev().find(|(_, from)| size.number(*from) <= number);
        Segment { number, timeline: begun.map_or(1, |(timeline, _)| *timeline) }
    }

    /// Returns where this history goes on without the other, or the other without it; `None` if they
    /// are the same. A timeline's number does not tell: two sites that were promoted without having
    /// heard of each other take the same one. Where it began does, unless they began at one position.
    #[must_use]
    pub(crate) fn fork(&self, other: &Self) -> Option<Fork> {
        let pairs = self.begun.iter().zip(&other.begun);
        let shared = pairs.take_while(|(own, others)| own == others).count();
        let left = [self, other].into_iter().filter_map(|history| history.begun.get(shared));
        let at = left.map(|(_, begun)| *begun).min()?;
        let last = shared.checked_sub(1).and_then(|last| self.begun.get(last));
        Some(Fork { timeline: last.map_or(1, |(timeline, _)| *timeline), at })
    }

    /// Returns whether all of this history up to `own` is in another that has come to `theirs`.
    #[must_use]
    pub(crate) fn is_part_of(&self, other: &Self, own: u64, theirs: u64) -> bool {
        own <= self.fork(other).map_or(theirs, |fork| fork.at)
    }

    /// Returns where this history's WAL beyond a fork is to be found, in order. The file in which a
    /// timeline begins has what came before it in that file, too, and the earlier one may be gone.
    #[must_use]
    pub(crate) fn beyond(&self, fork: Fork, size: SegmentSize) -> Vec<Stretch> {
        let shared = self.begun.iter().position(|(timeline, _)| *timeline == fork.timeline);
        let mut stretches = Vec::new();
        let mut from = fork.at;
        for (index, (timeline, _)) in self.begun.iter().enumerate().skip(shared.unwrap_or(0)) {
            let to = self.begun.get(index + 1).map(|(_, begun)| size.start(*begun));
            if to.is_none_or(|to| to > from) {
                stretches.push(Stretch { timeline: *timeline, from, to });
            }
            from = to.map_or(from, |to| to.max(from));
        }
        stretches
    }
}

/// Reads `16/B374D848`.
pub(crate) fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let high = u64::from_str_radix(high, 16).ok()?;
    let low = u64::from_str_radix(low, 16).ok()?;
    Some((high << 32) | low)
}

/// Writes a position as PostgreSQL's tools read it.
#[must_use]
pub(crate) fn lsn(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xFFFF_FFFF)
}

#[cfg(test)]
mod tests;
