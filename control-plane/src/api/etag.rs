//! Tags of answers: what is decided has its version, what is observed its content's hash. Whoever has seen it is
//! told so instead of being sent it again. `Age` says how long ago etcd was read: with etcd out of reach,
//! what is answered is as old as that.

use std::fmt::Write as _;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::decide::State;

/// Answers with what has this version, or that whoever asks has seen it.
pub(super) fn versioned(
    asked: &HeaderMap,
    state: &State,
    version: u64,
    body: impl Serialize,
) -> Response {
    let tag = format!("\"{version}\"");
    let head = [(header::ETAG, tag.clone()), age(state)];
    if is_seen(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, Json(body)).into_response()
}

/// Says how long ago etcd was read, in seconds.
pub(super) fn age(state: &State) -> (HeaderName, String) {
    age_of(state.read_at())
}

/// The same of what was read at this moment; what has none is read just now.
pub(super) fn age_of(read: Option<Instant>) -> (HeaderName, String) {
    let age = read.map(|read| read.elapsed()).unwrap_or_default();
    (header::AGE, age.as_secs().to_string())
}

/// The same, for what has no version.
pub(super) fn hashed(asked: &HeaderMap, state: &State, body: impl Serialize) -> Response {
    hashed_at(asked, state.read_at(), body)
}

/// The same of what was read on its own.
pub(super) fn hashed_at(
    asked: &HeaderMap,
    read: Option<Instant>,
    body: impl Serialize,
) -> Response {
    let text = match serde_json::to_vec(&body) {
        Ok(text) => text,
        Err(err) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, err.to_string()).into_response();
        }
    };
    let tag = Sha256::digest(&text).iter().take(8).fold(String::from("\""), |mut tag, byte| {
        write!(tag, "{byte:02x}").expect("a string takes any text");
        tag
    }) + "\"";
    let head = [(header::ETAG, tag.clone()), age_of(read)];
    if is_seen(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let json = HeaderValue::from_static("application/json");
    (head, [(header::CONTENT_TYPE, json)], text).into_response()
}

/// RFC 9110, 13.1.2: any of the tags in any of the headers, strong or weak, or `*`.
fn is_seen(asked: &HeaderMap, tag: &str) -> bool {
    let headers =
        asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = headers.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|seen| seen == "*" || seen.strip_prefix("W/").unwrap_or(seen) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others_weak_or_strong() {
        let tests = [("\"7\"", true), ("W/\"7\"", true), ("\"6\", \"7\"", true), ("*", true)];
        let others = [("\"8\"", false), ("7", false), ("", false)];
        for (value, expected) in tests.into_iter().chain(others) {
            let mut asked = HeaderMap::new();
            asked.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            assert_eq!(is_seen(&asked, "\"7\""), expected, "{value}");
        }
        assert!(!is_seen(&HeaderMap::new(), "\"7\""));
    }
}
