//! A place in a cell's write-ahead log.

use std::fmt;

/// A place in the WAL. Later timelines come after all positions of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub timeline: u32,
    pub lsn: u64,
}

impl fmt::Display for Position {
    /// As PostgreSQL's tools write it, after the timeline: `3/0/2A000028`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:X}/{:X}", self.timeline, self.lsn >> 32, self.lsn & 0xFFFF_FFFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_timeline_is_further_whatever_its_position() {
        let old = Position { timeline: 3, lsn: 900 };
        let new = Position { timeline: 4, lsn: 100 };
        assert!(new > old);
        assert_eq!(old.to_string(), "3/0/384");
    }
}
