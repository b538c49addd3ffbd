//! Whether a page of the same origin asks, as far as the browser says.
//!
//! A browser sends a visitor's cookie along with whatever any page makes it ask. Which page that
//! was it says in headers that no script can set.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::request::Parts;

const FETCH_SITE: &str = "sec-fetch-site";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Same,
    Other,
    /// Neither header is there: an old browser's read, or no browser.
    Unsaid,
}

impl Origin {
    pub(crate) fn of(head: &Parts) -> Self {
        let fetch_site = text(&head.headers, FETCH_SITE).map(|site| site == "same-origin");
        let origin = text(&head.headers, ORIGIN.as_str()).map(|origin| is_of(origin, head));
        match (fetch_site, origin) {
            (None, None) => Self::Unsaid,
            (Some(false), _) | (_, Some(false)) => Self::Other,
            (Some(true), _) | (_, Some(true)) => Self::Same,
        }
    }
}

/// Returns whether an `Origin` names the host that is asked. The scheme is left out: behind whoever
/// ends TLS it is not known.
fn is_of(origin: &str, head: &Parts) -> bool {
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| text(&head.headers, HOST.as_str()));
    match (origin.split_once("://"), host) {
        (Some((_, origin)), Some(host)) => !origin.is_empty() && origin.eq_ignore_ascii_case(host),
        (None, _) | (_, None) => false,
    }
}

/// Returns a header's text; nothing good of one that is not text, or comes twice.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().unwrap_or_default();
    Some(if values.next().is_some() { "" } else { first })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn what_is_said_has_to_agree_and_something_has_to_be_said() {
        check(&[], Origin::Unsaid);
        check(&[("origin", "https://shop.example")], Origin::Same);
        check(&[("origin", "http://SHOP.example")], Origin::Same);
        check(&[("sec-fetch-site", "same-origin")], Origin::Same);
        check(&[("sec-fetch-site", "same-site")], Origin::Other);
        check(&[("sec-fetch-site", "cross-site")], Origin::Other);
        check(&[("origin", "null")], Origin::Other);
        check(&[("origin", "https://shop.example.evil")], Origin::Other);
        check(&[("origin", "https://shop.example:8443")], Origin::Other);
        let both = [("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")];
        check(&both, Origin::Other);
        let twice = [("origin", "https://shop.example"), ("origin", "https://evil.example")];
        check(&twice, Origin::Other);
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Origin) {
        let request = Request::post("/v1/visitors").header("host", "shop.example");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(Origin::of(&head), expected, "{headers:?}");
    }
}
