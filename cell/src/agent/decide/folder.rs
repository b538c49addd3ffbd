//! What a site does next with its database, by what is in its folder.
//!
//! A database is brought back in line in steps, and the machine may stop between any two. Read at the
//! next start, whatever is found leads to a database that is whole, and nothing goes before it is
//! known to be elsewhere:
//!
//! ```text
//! rewind   note it ─▶ rewrite data ─▶ in line again ─▶ note gone
//! copy     data.new ─▶ data → data.old ─▶ data.new → data ─▶ in line again ─▶ note gone
//!                                                      ─▶ it streams: data.old goes
//! ```

/// The database in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Absent,
    /// There is something, but no database.
    Unusable,
    /// Everything in it is known to be elsewhere.
    InLine,
    /// It may have what nobody else has: it was written as a primary, or does not stream.
    OutOfLine,
}

/// What is in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    pub data: Data,
    /// A database that a copy took the place of, or was about to.
    pub old: bool,
    /// A rewind was begun, and is not known to have ended.
    pub rewinding: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The copy was about to take its place: put the old database back, with all that is noted of it.
    PutBack,
    /// Nothing here can be built on.
    Copy,
    /// Keep what only this site has, then rewind, or copy.
    Rejoin,
    Follow,
}

/// Returns what to do next.
#[must_use]
pub fn next(folder: Folder) -> Next {
    match (folder.data, folder.rewinding) {
        (Data::Absent, _) if folder.old => Next::PutBack,
        // What a rewind has half rewritten was kept before it began.
        (Data::Absent | Data::Unusable, _) | (Data::OutOfLine, true) => Next::Copy,
        (Data::OutOfLine, false) => Next::Rejoin,
        // The note is the last thing that goes.
        (Data::InLine, _) => Next::Follow,
    }
}

/// What becomes of the database that a copy takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept until the copy streams, and no longer.
    Old,
    /// It goes at once: the one before it is kept until a copy streams.
    Gone,
    /// It is kept until a person removes it.
    Aside,
}

/// Returns what becomes of it. `unreported`: it has writes that could not be kept otherwise. `own`: it
/// was written as a primary, so it has been whole.
#[must_use]
pub fn fate(unreported: bool, own: bool, old: bool) -> Fate {
    match (unreported, own, old) {
        (true, _, _) => Fate::Aside,
        (false, true, _) | (false, false, false) => Fate::Old,
        // A copy that never streamed, or half of one.
        (false, false, true) => Fate::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole folder on one screen, each line with the step after which it is found.
    const TABLE: &str = "
data      | old | rewinding | next
absent    | -   | -         | copy      the first start of a standby
absent    | -   | yes       | copy      half rewound, set aside for good, and the machine stopped
absent    | yes | -         | put back  data → data.old
absent    | yes | yes       | put back  the same, half rewound
unusable  | -   | -         | copy      a damaged disk
unusable  | -   | yes       | copy
unusable  | yes | -         | copy
unusable  | yes | yes       | copy
in line   | -   | -         | follow    a standby
in line   | -   | yes       | follow    rewound; the note was not yet gone
in line   | yes | -         | follow    copied, and not yet streaming
in line   | yes | yes       | follow    copied after a rewind failed; the note was not yet gone
out of line | -   | -       | rejoin    a former primary
out of line | -   | yes     | copy      in the middle of a rewind
out of line | yes | -       | rejoin    data.new → data, not yet called in line; or a copy that does not stream
out of line | yes | yes     | copy      the same, after a rewind failed
";

    #[test]
    fn whatever_a_crash_leaves_in_the_folder_leads_to_a_whole_database() {
        let rows: Vec<&str> = TABLE.trim().lines().skip(1).collect();
        assert_eq!(rows.len(), 16);
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let data = match cells[0] {
                "absent" => Data::Absent,
                "unusable" => Data::Unusable,
                "in line" => Data::InLine,
                _ => Data::OutOfLine,
            };
            let folder = Folder { data, old: cells[1] == "yes", rewinding: cells[2] == "yes" };
            let expected = match cells[3].split_once("  ").map_or(cells[3], |(next, _)| next) {
                "put back" => Next::PutBack,
                "copy" => Next::Copy,
                "rejoin" => Next::Rejoin,
                _ => Next::Follow,
            };
            assert_eq!(next(folder), expected, "{row}");
        }
    }

    #[test]
    fn what_holds_unreported_writes_never_goes_by_itself() {
        for (own, old) in [(true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(fate(true, own, old), Fate::Aside);
        }
    }

    #[test]
    fn one_whole_database_is_kept_until_a_copy_streams() {
        assert_eq!(fate(false, true, false), Fate::Old);
        assert_eq!(fate(false, false, false), Fate::Old);
        assert_eq!(fate(false, true, true), Fate::Old, "later, and whole");
        assert_eq!(fate(false, false, true), Fate::Gone, "a copy that never streamed");
    }
}
