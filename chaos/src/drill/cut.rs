//! Which answers are cut off.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Of a site, to the routers' writes.
    Answers,
    /// Of its PostgreSQL, to the services' commits.
    Commits,
}

/// How PostgreSQL is told, as a text that ends with a zero.
const COMMIT: &[u8] = b"COMMIT\0";

impl Cut {
    /// Returns whether a piece of what is sent asks for what is to be done once.
    pub(crate) fn is_write(self, piece: &[u8]) -> bool {
        match self {
            Self::Answers => piece.starts_with(b"POST "),
            Self::Commits => piece.windows(COMMIT.len()).any(|part| part == COMMIT),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers",
            Self::Commits => "commits",
        })
    }
}

impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Answers, Self::Commits];
        let found = all.into_iter().find(|cut| cut.to_string() == text);
        found.ok_or_else(|| "expected answers or commits".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_known_by_how_it_is_sent() {
        assert!(Cut::Answers.is_write(b"POST /v1/tickets HTTP/1.1\r\n"));
        assert!(!Cut::Answers.is_write(b"GET /v1/tickets HTTP/1.1\r\n"));
        assert!(Cut::Commits.is_write(b"Q\0\0\0\x0bCOMMIT\0"));
        assert!(!Cut::Commits.is_write(b"Q\0\0\0\x0aBEGIN\0"));
        assert_eq!("commits".parse(), Ok(Cut::Commits));
    }
}
