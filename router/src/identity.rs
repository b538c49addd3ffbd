//! Who asks: the bearer token, checked without a clock or a network of its own.
//!
//! One issuer is known so far, the development one: HS256 with a key from a file. What a token says
//! is looked at only after its signature; each way of being wrong has its own code.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use runtime::Problem;
use serde::Deserialize;
use serde_json::Value;

/// Whom tokens must be for.
const AUDIENCE: &str = "bulkhead";
/// Issuer of the development profile.
const ISSUER: &str = "bulkhead-development";
/// Longest user id; it becomes part of keys and headers.
const SUBJECT_MAX: usize = 128;
/// How far the issuer's clock may be off, in seconds.
const LEEWAY: u64 = 5;

/// The key the development issuer signs with.
pub(crate) struct Keys(DecodingKey);

/// Why a request has no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unidentified {
    #[error("the request carries no bearer token")]
    Missing,
    #[error("the token is not a JSON Web Token")]
    Malformed,
    #[error("the token is not signed")]
    Unsigned,
    #[error("the token is signed with another algorithm than HS256")]
    Algorithm,
    #[error("the token's signature does not match")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token's issuer is not trusted")]
    Issuer,
    #[error("the token names no user of 1 to 128 visible characters")]
    Subject,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// Claims as they come: each one is judged on its own, so that the answer can say which is wrong.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    iss: Value,
    exp: f64,
    nbf: Option<f64>,
}

impl Keys {
    /// Takes the key as it is in its file: its text is the key, white space around it is not.
    pub(crate) fn development(text: &str) -> Self {
        Self(DecodingKey::from_secret(text.trim().as_bytes()))
    }

    /// Returns the user that an `Authorization` header proves, at `now` in seconds since 1970.
    pub(crate) fn identify(
        &self,
        authorization: Option<&[u8]>,
        now: u64,
    ) -> Result<String, Unidentified> {
        let token = bearer(authorization)?;
        let mut parts = token.split('.');
        let (Some(head), Some(body), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Unidentified::Malformed);
        };
        match read::<Header>(head)?.alg.as_str() {
            "HS256" => {}
            alg if alg.eq_ignore_ascii_case("none") => return Err(Unidentified::Unsigned),
            _ => return Err(Unidentified::Algorithm),
        }
        let signed = &token.as_bytes()[..head.len() + 1 + body.len()];
        match jsonwebtoken::crypto::verify(signature, signed, &self.0, Algorithm::HS256) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Unidentified::Signature),
        }
        judge(read(body)?, now)
    }
}

fn bearer(authorization: Option<&[u8]>) -> Result<&str, Unidentified> {
    let value = authorization.ok_or(Unidentified::Missing)?;
    let text = std::str::from_utf8(value).ok().ok_or(Unidentified::Malformed)?;
    match text.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(Unidentified::Missing),
    }
}

fn read<T: for<'a> Deserialize<'a>>(part: &str) -> Result<T, Unidentified> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok().ok_or(Unidentified::Malformed)?;
    serde_json::from_slice(&bytes).ok().ok_or(Unidentified::Malformed)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
fn judge(claims: Claims, now: u64) -> Result<String, Unidentified> {
    if claims.exp + LEEWAY as f64 <= now as f64 {
        return Err(Unidentified::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > (now + LEEWAY) as f64) {
        return Err(Unidentified::NotYetValid);
    }
    let is_ours = match &claims.aud {
        Value::String(audience) => audience == AUDIENCE,
        Value::Array(audiences) => audiences.iter().any(|audience| audience == AUDIENCE),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    if !is_ours {
        return Err(Unidentified::Audience);
    }
    if claims.iss != ISSUER {
        return Err(Unidentified::Issuer);
    }
    match claims.sub {
        Value::String(user) if is_user(&user) => Ok(user),
        Value::String(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_) => Err(Unidentified::Subject),
    }
}

/// Visible: what may stand in a header and a log line without changing its meaning.
fn is_user(user: &str) -> bool {
    let length = user.chars().count();
    (1..=SUBJECT_MAX).contains(&length)
        && !user.chars().any(|c| c.is_control() || c.is_whitespace())
}

impl Unidentified {
    fn code(self) -> &'static str {
        match self {
            Self::Missing => "token-missing",
            Self::Malformed => "token-malformed",
            Self::Unsigned => "token-unsigned",
            Self::Algorithm => "token-algorithm",
            Self::Signature => "token-signature",
            Self::Expired => "token-expired",
            Self::NotYetValid => "token-not-yet-valid",
            Self::Audience => "token-audience",
            Self::Issuer => "token-issuer",
            Self::Subject => "token-subject",
        }
    }

    pub(crate) fn problem(self) -> Problem {
        // RFC 6750 3.1: a request without any token is told only what is expected.
        let challenge = if self == Self::Missing {
            "Bearer".to_owned()
        } else {
            format!("Bearer error=\"invalid_token\", error_description=\"{self}\"")
        };
        Problem::new(401, self.code(), "The request has no valid identity")
            .detail(self.to_string())
            .header("www-authenticate", challenge)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

#[cfg(test)]
mod tests;
