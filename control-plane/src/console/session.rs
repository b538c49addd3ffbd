//! Who is signed in: a signed cookie, so that every control plane that has the key knows the session,
//! and the one that made it may die.
//!
//! Nothing is kept in memory, and so nothing needs a bound. The price: signing out makes the browser
//! forget the cookie, and a copy of it ends with its time or with its token, whichever is first.

use std::fmt::Write as _;

use axum::http::HeaderMap;
use hmac::{Hmac, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;

use super::cookie;

pub(super) const COOKIE: &str = "bulkhead_console";
/// A shift. Whoever comes back on the next day has their token ready.
pub(super) const LIFE_SECONDS: u64 = 12 * 60 * 60;

/// What cookies are signed with. All control planes of a platform have the same.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// Somebody who has shown a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names the token. What it may do is asked of [`Callers`](crate::callers::Callers) at each
    /// request, so that a session ends with its token.
    pub fingerprint: String,
    /// Tells sessions of one token apart.
    nonce: String,
    ends_unix_ms: u64,
}

impl Session {
    /// Begins a session.
    #[must_use]
    pub fn begin(fingerprint: String, now_unix_ms: u64) -> Self {
        Self { fingerprint, nonce: nonce(), ends_unix_ms: now_unix_ms + LIFE_SECONDS * 1000 }
    }

    /// What is signed: three parts, none of which has a dot in it.
    fn body(&self) -> String {
        format!("{}.{}.{}", self.ends_unix_ms, self.nonce, self.fingerprint)
    }

    #[must_use]
    pub fn is_over(&self, now_unix_ms: u64) -> bool {
        now_unix_ms >= self.ends_unix_ms
    }
}

impl Key {
    /// Makes the key from a secret of any length.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    /// Returns the cookie's value.
    #[must_use]
    pub fn seal(&self, session: &Session) -> String {
        let body = session.body();
        let signature = hex(&self.sign("session", &body).finalize().into_bytes());
        format!("{body}.{signature}")
    }

    /// Returns the session of a cookie that is genuine and not over.
    #[must_use]
    pub fn open(&self, sealed: &str, now_unix_ms: u64) -> Option<Session> {
        let (body, signature) = sealed.rsplit_once('.')?;
        self.sign("session", body).verify_slice(&unhex(signature)?).ok()?;
        let mut parts = body.split('.');
        let (ends, nonce, fingerprint) = (parts.next()?, parts.next()?, parts.next()?);
        let session = Session {
            fingerprint: fingerprint.to_owned(),
            nonce: nonce.to_owned(),
            ends_unix_ms: ends.parse().ok()?,
        };
        (!session.is_over(now_unix_ms)).then_some(session)
    }

    /// Returns the session of a request.
    #[must_use]
    pub(super) fn session(&self, headers: &HeaderMap, now_unix_ms: u64) -> Option<Session> {
        self.open(cookie::value(headers, COOKIE)?, now_unix_ms)
    }

    /// Returns what the session's forms carry, so that no other site's form is taken for one of them.
    #[must_use]
    pub fn form_token(&self, session: &Session) -> String {
        hex(&self.sign("form", &session.body()).finalize().into_bytes())
    }

    #[must_use]
    pub fn is_form_token(&self, session: &Session, offered: &str) -> bool {
        let offered = unhex(offered).unwrap_or_default();
        self.sign("form", &session.body()).verify_slice(&offered).is_ok()
    }

    /// One key for two purposes: what is signed begins with its purpose.
    fn sign(&self, purpose: &str, body: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(purpose).chain_update("\0").chain_update(body)
    }
}

/// Returns what has never been there before, and nobody guesses.
#[must_use]
pub(super) fn nonce() -> String {
    let bytes: [u8; 16] = rand::rng().random();
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits?;
    (pairs.len() % 2 == 0).then(|| {
        let bytes = pairs.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]));
        bytes.map(Result::unwrap_or_default).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_to_whoever_has_the_key_until_it_is_over() {
        let (key, other) = (Key::new(b"key"), Key::new(b"other"));
        let session = Session::begin("01020304".to_owned(), 1_000);
        let sealed = key.seal(&session);
        assert_eq!(Key::new(b"key").open(&sealed, 1_000).as_ref(), Some(&session));
        assert_eq!(other.open(&sealed, 1_000), None);
        let end = 1_000 + LIFE_SECONDS * 1000;
        assert_eq!(key.open(&sealed, end - 1).as_ref(), Some(&session));
        assert_eq!(key.open(&sealed, end), None);
    }

    #[test]
    fn nothing_of_a_cookie_can_be_changed() {
        let key = Key::new(b"key");
        let sealed = key.seal(&Session::begin("01020304".to_owned(), 1_000));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(key.open(&forged, 1_000), None, "{forged}");
        }
    }

    #[test]
    fn a_form_belongs_to_one_session() {
        let key = Key::new(b"key");
        let begin = || Session::begin("01020304".to_owned(), 1_000);
        let (one, other) = (begin(), begin());
        let token = key.form_token(&one);
        assert!(key.is_form_token(&one, &token));
        assert!(!key.is_form_token(&other, &token));
        for wrong in ["", "00", "zz", &token[..62]] {
            assert!(!key.is_form_token(&one, wrong), "{wrong:?}");
        }
        // A cookie's signature is no form's.
        let sealed = key.seal(&one);
        assert!(!key.is_form_token(&one, sealed.rsplit_once('.').unwrap().1));
    }
}
