//! Cookies, as far as the console needs them.

use axum::http::{HeaderMap, header};

/// The console's own path: no cookie of it goes to the API.
pub(super) const PATH: &str = "/console";

/// Returns a cookie's value.
#[must_use]
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Returns a `Set-Cookie` value that no script reads and no other site makes a browser send.
#[must_use]
pub(super) fn set(name: &str, value: &str, max_age_seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!(
        "{name}={value}; Path={PATH}; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}"
    )
}
