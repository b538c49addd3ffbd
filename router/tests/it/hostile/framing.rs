//! Where a request ends.

use super::{Case, passes, refused};

/// Two readers would find two ends.
const AMBIGUOUS: &str = "ambiguous-framing";
/// The parser refuses by itself, without a body.
const PARSER: &str = "";
/// Found in a body that is on its way.
const BODY: &str = "malformed-request";

pub(super) const CASES: &[Case] = &[
    // A length and a coding.
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nX", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}Transfer-Encoding: chunked\r\nCONTENT-LENGTH: 0\r\n\r\n0\r\n\r\n", 400, AMBIGUOUS),
    // Lengths that are not one number.
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5\r\ncontent-length: 5\r\n\r\nhello", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5, 5\r\n\r\nhello", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5, 6\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: +5\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: -5\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5 5\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 0x5\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5.0\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5e0\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 5;\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: \r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 99999999999999999999\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 18446744073709551615\r\n\r\nhello", 413, "payload-too-large"),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length: 65537\r\n\r\nhello", 413, "payload-too-large"),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length : 5\r\n\r\nhello", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}content-length\t: 5\r\n\r\nhello", 400, PARSER),
    // Codings that are not exactly chunked.
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: identity\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: \r\n chunked\r\n\r\n0\r\n\r\n", 400, PARSER),
    refused(b"POST /a HTTP/1.0\r\n{C}transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, PARSER),
    // Lines.
    refused(b"GET /a HTTP/1.1\n{C}\r\n", 400, AMBIGUOUS),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: 1\nx-b: 2\r\n\r\n", 400, AMBIGUOUS),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: 1\n\n", 400, AMBIGUOUS),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: 1\rx-b: 2\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: 1\r\n 2\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: 1\r\n\t2\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n x-a: 1\r\n{C}\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: 1\x002\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x\x00a: 1\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}: 1\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x a: 1\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}x(a): 1\r\n\r\n", 400, PARSER),
    // Chunks.
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400, BODY),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", 400, BODY),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\rhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: {A 70000}\r\n\r\n", 400, BODY),
    // No size at all, or none on a line of its own, in what comes with the head and in what comes later.
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n;a=b\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n2328\r\n{A 9000}\r\n\r\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    refused(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5;\nhello\r\n0\r\n\r\n", 400, AMBIGUOUS),
    // Extensions of whatever length are left out: the site gets the body in the router's own chunks.
    passes(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5;{A 9000}\r\nhello\r\n0\r\n\r\n", "POST /a HTTP/1.1", "hello"),
    passes(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", "POST /a HTTP/1.1", "hello"),
    passes(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n005\r\nhello\r\n0\r\n\r\n", "POST /a HTTP/1.1", "hello"),
    // More than was announced is no request.
    passes(b"POST /a HTTP/1.1\r\n{C}content-length: 5\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nhost: bulkhead\r\n\r\n", "POST /a HTTP/1.1", "hello"),
    passes(b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: bulkhead\r\n\r\n", "POST /a HTTP/1.1", "hello"),
    passes(b"GET /a HTTP/1.1\r\n{C}content-length: 5\r\n\r\nhello", "GET /a HTTP/1.1", "hello"),
];
