//! Who asks: users with tokens of the development issuer.

use anyhow::Context as _;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

/// The development issuer's key in this benchmark.
pub(crate) const KEY: &str = "6d7f1f0b5c1e4a38b2f9d0c4e7a6152833947b60f1d8e2c5a4b3968770d1e2f3";
pub(crate) const ISSUER: &str = "bulkhead-development";
pub(crate) const AUDIENCE: &str = "bulkhead";
/// Longer than any run.
const VALID_SECONDS: u64 = 24 * 3600;

pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) token: String,
}

/// Returns so many users, always the same.
pub(crate) fn users(count: usize) -> anyhow::Result<Vec<User>> {
    let key = EncodingKey::from_secret(KEY.as_bytes());
    let expiry = runtime::clock::unix_millis() / 1000 + VALID_SECONDS;
    (0..count)
        .map(|number| {
            let name = format!("user-{number:06}");
            let claims = json!({"sub": name, "iss": ISSUER, "aud": AUDIENCE, "exp": expiry});
            let token = encode(&Header::default(), &claims, &key).context("sign a token")?;
            Ok(User { name, token })
        })
        .collect()
}
