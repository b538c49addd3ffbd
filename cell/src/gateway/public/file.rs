//! A file as it is answered: with a name for its content, so that who has it need not get it again.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

/// Characters of a content's name: 64 bits, among a handful of files.
const NAME_LENGTH: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct File {
    content_type: &'static str,
    cache: &'static str,
    name: String,
    body: Bytes,
}

impl File {
    pub(super) fn new(content_type: &'static str, cache: &'static str, body: Bytes) -> Self {
        Self { content_type, cache, name: content_name(&body), body }
    }

    /// Returns the content's name, which changes with it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Answers a read: without the content where the reader has it already.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let etag = format!("\"{}\"", self.name);
        let known = asked.get_all(header::IF_NONE_MATCH).iter();
        let is_known = known
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == etag);
        let etag = HeaderValue::try_from(etag).expect("hex digits in quotes");
        let head = [
            (header::CACHE_CONTROL, HeaderValue::from_static(self.cache)),
            (header::ETAG, etag),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        (head, [(header::CONTENT_TYPE, self.content_type)], self.body.clone()).into_response()
    }
}

fn content_name(body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut name = Sha256::digest(body).iter().fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("a String takes everything");
        name
    });
    name.truncate(NAME_LENGTH);
    name
}
