//! Development tokens: one per simulated user.

use std::time::Duration;

use anyhow::Context as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

const AUDIENCE: &str = "bulkhead";
const ISSUER: &str = "bulkhead-development";
/// Longer than any drill.
const VALID: Duration = Duration::from_hours(2);

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: &'static str,
    iss: &'static str,
    iat: u64,
    exp: u64,
}

/// Returns a token for a user, signed with the development issuer's key.
pub(crate) fn development(key: &str, user: &str) -> anyhow::Result<String> {
    let issued = runtime::clock::unix_millis() / 1000;
    let exp = issued + VALID.as_secs();
    let claims = Claims { sub: user, aud: AUDIENCE, iss: ISSUER, iat: issued, exp };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key.as_bytes()))
        .context("sign a token")
}
