//! The keys of one issuer, as they are at one moment.

use std::collections::BTreeSet;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use topology::spec::edge::identity::Algorithm;

use super::Unidentified;
use super::key::{Key, NotAKey};
use super::token::{Head, Token};

/// Most keys of a set: issuers have two to six.
const KEYS_MAX: usize = 32;
/// Most keys that one token is tried with: a rotation has two, and each try takes a tenth of a
/// millisecond that anybody can ask for.
const TRIES_MAX: usize = 4;
/// Largest set: 32 RSA keys of 4096 bits with their certificates.
pub(crate) const SET_MAX: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct KeySet(Vec<Key>);

/// Why something is not a set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotASet {
    #[error("it is not a JSON Web Key Set")]
    Json,
    #[error("none of its keys is for one of the algorithms of this issuer")]
    Empty,
    #[error("it has more than 32 keys, or more than 4 without a name")]
    TooMany,
    #[error(transparent)]
    Key(#[from] NotAKey),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl KeySet {
    /// Takes a JSON Web Key Set. Keys that are for something else are left out, as RFC 7517 says.
    pub(crate) fn jwks(text: &[u8], algorithms: &[Algorithm]) -> Result<Self, NotASet> {
        let set: Jwks = serde_json::from_slice(text).map_err(|_not| NotASet::Json)?;
        if set.keys.len() > KEYS_MAX {
            return Err(NotASet::TooMany);
        }
        let keys = set.keys.into_iter().filter_map(|key| {
            let key = serde_json::from_value::<Jwk>(key).ok()?;
            Key::jwk(&key).ok()
        });
        Self::of(keys.filter(|key| algorithms.contains(&key.algorithm)).collect())
    }

    /// Takes one public key per text; each has to be one.
    pub(crate) fn pems(texts: &[Vec<u8>], algorithms: &[Algorithm]) -> Result<Self, NotASet> {
        let keys: Result<Vec<Key>, NotAKey> = texts.iter().map(|text| Key::pem(text)).collect();
        let keys = keys?;
        if keys.iter().any(|key| !algorithms.contains(&key.algorithm)) {
            return Err(NotASet::Key(NotAKey::Unknown));
        }
        Self::of(keys)
    }

    /// Takes one secret a line. Several are a rotation: each counts.
    pub(crate) fn secrets(text: &str) -> Result<Self, NotASet> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let keys: Result<Vec<Key>, NotAKey> = lines.map(Key::secret).collect();
        Self::of(keys?)
    }

    fn of(keys: Vec<Key>) -> Result<Self, NotASet> {
        let nameless = keys.iter().filter(|key| key.id.is_none()).count();
        match keys.len() {
            0 => Err(NotASet::Empty),
            1..=KEYS_MAX if nameless <= TRIES_MAX => Ok(Self(keys)),
            _ => Err(NotASet::TooMany),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks a token's signature with the keys that may have made it: those of its name, or those
    /// without one. Of several of one name each counts: names are the issuer's business.
    pub(crate) fn check(
        &self,
        token: &Token<'_>,
        head: &Head,
        algorithm: Algorithm,
    ) -> Result<(), Unidentified> {
        let named = |key: &&Key| match (&head.kid, &key.id) {
            (Some(wanted), Some(id)) => wanted == id,
            (None, _) | (_, None) => true,
        };
        let mut candidates = self.0.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(Unidentified::Key);
        }
        let mut wrong = Unidentified::Algorithm;
        for key in candidates.filter(|key| key.algorithm == algorithm).take(TRIES_MAX) {
            if key.has_signed(token) {
                return Ok(());
            }
            wrong = Unidentified::Signature;
        }
        Err(wrong)
    }

    /// Signs with the first secret, as the issuer itself.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<String> {
        self.0.iter().find_map(|key| key.sign(message))
    }

    /// Returns whether a key is gone that was in `before`: what it has proved counts no more.
    pub(crate) fn lacks_some_of(&self, before: &Self) -> bool {
        let now: BTreeSet<_> = self.0.iter().map(Key::fingerprint).collect();
        before.0.iter().any(|key| !now.contains(&key.fingerprint()))
    }
}
