//! Which answers come late.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// All of a site's.
    Answers,
    /// Its session's, to whoever tries what a user's write needs.
    Canaries,
}

/// How it is asked to try.
const CANARY: &[u8] = b"POST /v1/canary";

impl Late {
    /// Returns whether the answer to a piece of what is asked comes late.
    pub(crate) fn is_asked(self, piece: &[u8]) -> bool {
        match self {
            Self::Answers => true,
            Self::Canaries => piece.starts_with(CANARY),
        }
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers",
            Self::Canaries => "canaries",
        })
    }
}

impl FromStr for Late {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Answers, Self::Canaries];
        let found = all.into_iter().find(|late| late.to_string() == text);
        found.ok_or_else(|| "expected answers or canaries".to_owned())
    }
}
