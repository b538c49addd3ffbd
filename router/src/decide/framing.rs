//! Whether everybody who reads a request's head agrees on where the request ends, whom it is for
//! and which of its headers are meant for the next hop (RFC 9112, sections 3.2, 6 and 11.2).
//!
//! The parser is lenient where HTTP allows it; a router in front of other people's users is not.
//! Looks at the parsed head, and at its bytes for what the parser has corrected on its own.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Version};

/// Connection options that name no header the site needs; of these the router takes care itself.
const OPTIONS: [&str; 7] =
    ["close", "keep-alive", "upgrade", "te", "trailer", "http2-settings", "proxy-connection"];

/// What is wrong with a head. After any of these the connection is closed: what follows on it
/// cannot be told from a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    #[error("the request has both a Content-Length and a Transfer-Encoding")]
    TwoLengths,
    #[error("the request has not one Content-Length of digits alone")]
    Length,
    #[error("the Transfer-Encoding is not exactly chunked")]
    Coding,
    #[error("HTTP/1.0 knows no Transfer-Encoding")]
    OldCoding,
    #[error("a chunk does not begin with its size on a line of its own")]
    ChunkSize,
    #[error("the request names no host, or none that could exist")]
    Host,
    #[error("Connection names a header that is meant for the site")]
    Connection,
    #[error("nothing else can be expected than 100-continue")]
    Expectation,
    #[error("the method is not served here")]
    Method,
    #[error("the method is not known")]
    UnknownMethod,
}

/// Checks a head; `raw` are its bytes where it came as HTTP/1.
pub(crate) fn check(head: &Parts, raw: Option<&[u8]>) -> Result<(), Malformed> {
    if let Some(raw) = raw {
        if raw.split_inclusive(|byte| *byte == b'\n').any(|line| !line.ends_with(b"\r\n")) {
            return Err(Malformed::BareLineFeed);
        }
        length(head, raw)?;
        connection(head)?;
    }
    host(head)?;
    if head.headers.get(EXPECT).is_some_and(|value| !is(value, "100-continue")) {
        return Err(Malformed::Expectation);
    }
    match head.method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => Ok(()),
        Method::TRACE | Method::CONNECT => Err(Malformed::Method),
        _ => Err(Malformed::UnknownMethod),
    }
}

fn length(head: &Parts, raw: &[u8]) -> Result<(), Malformed> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        // The parser has removed the length by now: its bytes still have it.
        if has_line(raw, CONTENT_LENGTH.as_str()) {
            return Err(Malformed::TwoLengths);
        }
        if head.version != Version::HTTP_11 {
            return Err(Malformed::OldCoding);
        }
        if codings.next().is_some() || !is(coding, "chunked") {
            return Err(Malformed::Coding);
        }
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let is_digits =
        |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if is_digits(length) => Ok(()),
        (Some(_), _) => Err(Malformed::Length),
    }
}

/// Returns whether a head has a line of this header.
fn has_line(raw: &[u8], name: &str) -> bool {
    raw.split(|byte| *byte == b'\n').any(|line| {
        let field = line.split(|byte| *byte == b':').next().unwrap_or_default();
        field.len() < line.len() && field.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
    })
}

/// A header that `Connection` names is gone at the next hop: an idempotency key would be lost on
/// the way, and the request repeated without it.
fn connection(head: &Parts) -> Result<(), Malformed> {
    let options = head.headers.get_all(CONNECTION);
    for option in options.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let option = option.trim_ascii();
        let is_known = option.is_empty()
            || OPTIONS.iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()));
        if !is_known {
            return Err(Malformed::Connection);
        }
    }
    Ok(())
}

/// HTTP/2 has its authority in the target; HTTP/1.0 may have none.
fn host(head: &Parts) -> Result<(), Malformed> {
    let Some(host) = head.headers.get(HOST) else {
        let is_needed = head.version == Version::HTTP_11;
        return if is_needed { Err(Malformed::Host) } else { Ok(()) };
    };
    let text = host.as_bytes();
    let is_possible = !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte));
    if is_possible { Ok(()) } else { Err(Malformed::Host) }
}

fn is(value: &HeaderValue, word: &str) -> bool {
    value.as_bytes().eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn an_ordinary_head_passes() {
        check_lines(&["Host: bulkhead:8080"], Ok(()));
        check_lines(&["Host: [::1]:80", "Content-Length: 5", "Connection: keep-alive, TE"], Ok(()));
        check_lines(&["Host: a", "Transfer-Encoding: Chunked", "Expect: 100-Continue"], Ok(()));
    }

    #[test]
    fn each_ambiguity_has_its_name() {
        for (line, expected) in [
            ("Content-Length: +5", Malformed::Length),
            ("Content-Length: 5, 5", Malformed::Length),
            ("Content-Length:", Malformed::Length),
            ("Content-Length: 5\r\nContent-Length: 5", Malformed::Length),
            ("Transfer-Encoding: chunked\r\ncontent-LENGTH : 5", Malformed::TwoLengths),
            ("Transfer-Encoding: gzip, chunked", Malformed::Coding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Malformed::Coding),
            ("Transfer-Encoding: \"chunked\"", Malformed::Coding),
            ("Connection: close, Idempotency-Key", Malformed::Connection),
            ("Connection: x-bulkhead-user", Malformed::Connection),
            ("Expect: more", Malformed::Expectation),
        ] {
            check_lines(&["Host: bulkhead", line], Err(expected));
        }
        check_lines(&[], Err(Malformed::Host));
        check_lines(&["Host: a b"], Err(Malformed::Host));
        check_lines(&["Host: a/b"], Err(Malformed::Host));
    }

    #[test]
    fn a_line_must_end_with_both_its_characters() {
        let (head, ()) = Request::get("/").header("host", "a").body(()).unwrap().into_parts();
        let raw = b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
        assert_eq!(check(&head, Some(raw)), Err(Malformed::BareLineFeed));
    }

    #[test]
    fn only_methods_that_a_cell_knows_are_passed_on() {
        for (method, expected) in [
            ("PATCH", Ok(())),
            ("TRACE", Err(Malformed::Method)),
            ("CONNECT", Err(Malformed::Method)),
            ("get", Err(Malformed::UnknownMethod)),
            ("PROPFIND", Err(Malformed::UnknownMethod)),
        ] {
            let request = Request::builder().method(method).uri("/").header("host", "a");
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(check(&head, None), expected, "{method}");
        }
    }

    /// Parses as the router's parser does: the length is removed where there is a coding.
    #[track_caller]
    fn check_lines(lines: &[&str], expected: Result<(), Malformed>) {
        let lines = lines.join("\r\n");
        let mut request = Request::post("/");
        for line in lines.lines() {
            let (name, value) = line.split_once(':').unwrap();
            request = request.header(name.trim(), value.trim());
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        if head.headers.contains_key(TRANSFER_ENCODING) {
            head.headers.remove(CONTENT_LENGTH);
        }
        let raw = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
        assert_eq!(check(&head, Some(raw.as_bytes())), expected, "{lines}");
    }
}
