//! Visitors: users of the widget that nobody knows. The router gives them an identity of their own.
//!
//! It is a token like any other, signed with the routers' own key, so that it is checked, cached and
//! refused like any other. A browser keeps it as a cookie; a widget in another site's page, whose
//! cookies browsers withhold, keeps it itself and sends it as a bearer token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::COOKIE;
use rand::RngExt as _;
use serde::Serialize;
use serde_json::json;
use topology::spec::edge::identity::VISITOR_ISSUER;

use super::key_set::KeySet;

/// Where an identity is given, and renewed.
pub(crate) const PATH: &str = "/v1/visitors";
/// What every visitor's user id begins with, and no other's.
pub(crate) const PREFIX: &str = "visitor:";
/// Whom these tokens are for.
pub(crate) const AUDIENCE: &str = "bulkhead";
const COOKIE_NAME: &str = "bulkhead_visitor";
/// How long an identity lasts: a visitor who comes back within a month finds the conversation.
const LIFE_SECONDS: u64 = 30 * 24 * 3600;

/// An identity as it is given.
#[derive(Debug, Serialize)]
pub(crate) struct Pass {
    pub(crate) user: String,
    token: String,
    /// When it ends, in seconds since 1970; asked for again before, it is renewed.
    expires_at: u64,
    renew_at: u64,
}

/// Makes a visitor, or gives one who is known more time.
pub(crate) fn admit(keys: &KeySet, known: Option<&str>, now: u64) -> Option<Pass> {
    let user = known
        .map_or_else(|| format!("{PREFIX}{:032x}", rand::rng().random::<u128>()), str::to_owned);
    let expires_at = now + LIFE_SECONDS;
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({
        "sub": user, "iss": VISITOR_ISSUER, "aud": AUDIENCE, "iat": now, "exp": expires_at,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&head), part(&claims));
    let signature = keys.sign(signed.as_bytes())?;
    let token = format!("{signed}.{signature}");
    Some(Pass { user, token, expires_at, renew_at: now + LIFE_SECONDS / 2 })
}

impl Pass {
    /// Returns the cookie that keeps it: out of scripts' reach, and not sent from other sites' pages.
    pub(crate) fn cookie(&self, is_tls: bool) -> String {
        let secure = if is_tls { "; Secure" } else { "" };
        format!(
            "{COOKIE_NAME}={}; Path=/; Max-Age={LIFE_SECONDS}; HttpOnly; SameSite=Lax{secure}",
            self.token
        )
    }
}

/// Returns the token of a visitor's cookie. One that comes twice is none: which is the visitor's
/// own, nobody can tell.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let mut ours = pairs(headers).filter_map(ours);
    let token = ours.next()?;
    ours.next().is_none().then_some(token)
}

/// Returns the cookies without the visitor's, which is nobody's business behind the router; none
/// where it is not among them.
pub(crate) fn without(headers: &HeaderMap) -> Option<String> {
    pairs(headers)
        .any(|pair| ours(pair).is_some())
        .then(|| pairs(headers).filter(|pair| ours(pair).is_none()).collect::<Vec<_>>().join("; "))
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(';')).map(str::trim)
}

fn ours(pair: &str) -> Option<&str> {
    pair.strip_prefix(COOKIE_NAME)?.strip_prefix('=')
}
