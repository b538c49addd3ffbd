//! A place in a cell's write-ahead log.

/// Where a database has come to, on which timeline. A timeline's number alone does not tell which it is:
/// two sites that were promoted without having heard of each other take the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub timeline: u32,
    /// Where on the timeline before it this one began.
    pub begun: u64,
    pub lsn: u64,
}

impl Place {
    #[must_use]
    pub fn is_on_the_timeline_of(&self, other: &Self) -> bool {
        (self.timeline, self.begun) == (other.timeline, other.begun)
    }
}
