//! A JSON Web Token, taken apart: what it says of itself counts for nothing yet.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use topology::spec::edge::identity::Algorithm;

use super::Unidentified;

/// Longest token. The largest issuers' tokens, with a list of groups in them, have 6 KiB.
pub(crate) const TOKEN_MAX: usize = 8192;

/// The parts of a token as they came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    text: &'a str,
    head: &'a str,
    body: &'a str,
    pub(crate) signature: &'a str,
}

/// What a token says of its signature. A member that comes twice makes it malformed, as does one of
/// another type.
#[derive(Deserialize)]
pub(crate) struct Head {
    alg: String,
    pub(crate) kid: Option<String>,
    /// Extensions that must be understood; none are.
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    pub(crate) fn split(text: &'a str) -> Result<Self, Unidentified> {
        if text.len() > TOKEN_MAX {
            return Err(Unidentified::TooLong);
        }
        let mut parts = text.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(head), Some(body), Some(signature), None) => {
                Ok(Self { text, head, body, signature })
            }
            _ => Err(Unidentified::Malformed),
        }
    }

    /// Returns what it says of its signature, if that is something that can be checked.
    pub(crate) fn head(&self) -> Result<(Head, Algorithm), Unidentified> {
        let head: Head = read(self.head)?;
        if head.crit.is_some() {
            return Err(Unidentified::Critical);
        }
        match Algorithm::named(&head.alg) {
            Some(algorithm) => Ok((head, algorithm)),
            None if head.alg.eq_ignore_ascii_case("none") => Err(Unidentified::Unsigned),
            None => Err(Unidentified::Algorithm),
        }
    }

    pub(crate) fn body<T: for<'b> Deserialize<'b>>(&self) -> Result<T, Unidentified> {
        read(self.body)
    }

    /// Returns the bytes that the signature is about.
    pub(crate) fn signed(&self) -> &'a [u8] {
        &self.text.as_bytes()[..self.head.len() + 1 + self.body.len()]
    }
}

fn read<T: for<'a> Deserialize<'a>>(part: &str) -> Result<T, Unidentified> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok().ok_or(Unidentified::Malformed)?;
    serde_json::from_slice(&bytes).ok().ok_or(Unidentified::Malformed)
}
