//! Whether a standby is in line with the active site: whether the cell's history has everything it has.
//!
//! One that is not must not take the epoch's name. PostgreSQL asks for the file of WAL in which the
//! histories part, is counted as streaming for a moment, and confirms positions beyond the fork that are
//! other commits there (I5).

use topology::Position;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    In,
    /// It has what the cell's history went on without: it is rebuilt.
    Apart,
    /// The active site itself has to be asked.
    Unknown,
}

/// Holds where a standby is against where the active site was when it was elected. Its own history went
/// on from there, on a timeline of its own.
#[must_use]
pub fn line(own: Position, elected_at: Option<Position>) -> Line {
    match elected_at {
        Some(at) if own.timeline == at.timeline && own.lsn <= at.lsn => Line::In,
        Some(at) if own.timeline == at.timeline => Line::Apart,
        // An earlier timeline, which may have been left before; or a later one, which may be its own.
        Some(_) | None => Line::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_more_than_the_winner_had_is_in_line() {
        let at = |timeline, lsn| Position { timeline, lsn };
        assert_eq!(line(at(3, 700), Some(at(3, 700))), Line::In);
        assert_eq!(line(at(3, 500), Some(at(3, 700))), Line::In);
        assert_eq!(line(at(3, 701), Some(at(3, 700))), Line::Apart);
        assert_eq!(line(at(2, 500), Some(at(3, 700))), Line::Unknown);
        assert_eq!(line(at(4, 500), Some(at(3, 700))), Line::Unknown);
        assert_eq!(line(at(1, 500), None), Line::Unknown);
    }
}
