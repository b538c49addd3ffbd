//! What a request is for.

use super::{Case, passes, refused};

/// It can be read in two ways.
const TARGET: &str = "target-invalid";
/// The parser refuses by itself, without a body.
const PARSER: &str = "";

pub(super) const CASES: &[Case] = &[
    // Hosts.
    refused(b"GET /a HTTP/1.1\r\n\r\n", 400, "host-invalid"),
    refused(b"GET /a HTTP/1.1\r\n{C}host: bulkhead\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\n{C}Host: elsewhere\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\nhost: eve@bulkhead\r\n\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1\r\nhost: bulkhead/evil\r\n\r\n", 400, "host-invalid"),
    refused(b"GET /a HTTP/1.1\r\nhost: bulkhead evil\r\n\r\n", 400, "host-invalid"),
    refused(b"GET /a HTTP/1.1\r\nhost: bulkhead, evil\r\n\r\n", 400, "host-invalid"),
    refused(b"GET /a HTTP/1.1\r\nhost: bulkhead\\evil\r\n\r\n", 400, "host-invalid"),
    refused(b"GET /a HTTP/1.1\r\nhost: \r\n\r\n", 400, "host-invalid"),
    // Forms.
    passes(b"GET http://bulkhead/a?b HTTP/1.1\r\n{C}\r\n", "GET /a?b HTTP/1.1", ""),
    passes(b"GET http://bulkhead HTTP/1.1\r\n{C}\r\n", "GET / HTTP/1.1", ""),
    refused(b"GET http://elsewhere/a HTTP/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"GET http://eve@bulkhead/a HTTP/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"GET http://bulkhead:81/a HTTP/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"GET http:///a HTTP/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"GET ftp://bulkhead/a HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET http://bulkhead//a HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET * HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET bulkhead:80 HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET a HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"OPTIONS * HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"CONNECT bulkhead:443 HTTP/1.1\r\nhost: bulkhead:443\r\n\r\n", 405, PARSER),
    // The parser skips empty lines before the first.
    passes(b"\r\nGET /a HTTP/1.1\r\n{C}\r\n", "GET /a HTTP/1.1", ""),
    passes(b"\r\n\r\nGET /a HTTP/1.1\r\n{C}\r\n", "GET /a HTTP/1.1", ""),
    refused(b"\r\nGET /a#b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    // Methods and versions.
    refused(b"TRACE /a HTTP/1.1\r\n{C}\r\n", 405, "method-not-allowed"),
    refused(b"PROPFIND /a HTTP/1.1\r\n{C}\r\n", 501, "method-unknown"),
    refused(b"get /a HTTP/1.1\r\n{C}\r\n", 501, "method-unknown"),
    refused(b"GET /a\r\n{C}\r\n", 400, PARSER),
    refused(b"GET /a HTTP/3.0\r\n{C}\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.2\r\n{C}\r\n", 400, PARSER),
    refused(b"GET /a http/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"GET /a HTTP/1.1 HTTP/9\r\n{C}\r\n", 400, PARSER),
    refused(b"GET\t/a\tHTTP/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"G@T /a HTTP/1.1\r\n{C}\r\n", 400, PARSER),
    refused(b"GE\x00T /a HTTP/1.1\r\n{C}\r\n", 400, PARSER),
    // Paths.
    refused(b"GET /a/../b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a/./b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /.. HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /%2e%2e/b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a/%2E%2e;x/b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET //a HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a//b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%2fb HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%5cb HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a\\b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%00 HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%0d%0ab HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%7f HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%252e%252e HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%zz HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a% HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%c0%ae HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a%ff HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    // The parser refuses by itself.
    refused(b"GET /a\xff HTTP/1.1\r\n{C}\r\n", 400, ""),
    passes(b"GET /%61/b%2Dc?d=%2e%2e// HTTP/1.1\r\n{C}\r\n", "GET /a/b-c?d=%2e%2e// HTTP/1.1", ""),
    refused(b"GET /a b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"POST /a?b=<\"c d\"> HTTP/1.1\r\n{C}content-length: 5\r\n\r\nhello", 400, TARGET),
    refused(b"GET /a#b HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /a?b#c HTTP/1.1\r\n{C}\r\n", 400, TARGET),
    refused(b"GET /{A 9000} HTTP/1.1\r\n{C}\r\n", 414, "uri-too-long"),
];
