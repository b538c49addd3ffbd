//! What makes a request somebody's own.

use http::header as names;
use pingora_http::RequestHeader;

/// Returns whether a request says who sent it. Its answer may be for that person only.
pub(super) fn are_in(request: &RequestHeader) -> bool {
    [names::AUTHORIZATION, names::COOKIE, names::PROXY_AUTHORIZATION]
        .iter()
        .any(|name| request.headers.contains_key(name))
}
