//! Whether a standby is in line with the active site: whether the cell's history has everything it has.
//!
//! One that is not must not take the epoch's name. PostgreSQL asks for the file of WAL in which the
//! histories part, is counted as streaming for a moment, and confirms positions beyond the fork that are
//! other commits there (I5).

use topology::Place;

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
pub fn line(own: Place, elected_at: Option<Place>) -> Line {
    match elected_at.filter(|at| own.is_on_the_timeline_of(at)) {
        Some(at) if own.lsn <= at.lsn => Line::In,
        Some(_) => Line::Apart,
        // An earlier timeline, which may have been left before; or a later one, which may be its own.
        None => Line::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_more_than_the_winner_had_is_in_line() {
        let at = |timeline, begun, lsn| Place { timeline, begun, lsn };
        let elected_at = Some(at(3, 400, 700));
        assert_eq!(line(at(3, 400, 700), elected_at), Line::In);
        assert_eq!(line(at(3, 400, 500), elected_at), Line::In);
        assert_eq!(line(at(3, 400, 701), elected_at), Line::Apart);
        assert_eq!(line(at(2, 0, 500), elected_at), Line::Unknown);
        assert_eq!(line(at(4, 600, 650), elected_at), Line::Unknown);
        assert_eq!(line(at(3, 450, 500), elected_at), Line::Unknown, "a winner's nobody heard of");
        assert_eq!(line(at(1, 0, 500), None), Line::Unknown);
    }
}
