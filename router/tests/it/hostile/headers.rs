//! What a request says of itself.

use super::{Answer, Case, refused};

pub(super) const CASES: &[Case] = &[
    // Headers that would be lost on the way.
    refused(b"GET /a HTTP/1.1\r\n{C}connection: x-bulkhead-user\r\n\r\n", 400, "connection-invalid"),
    refused(b"GET /a HTTP/1.1\r\n{C}connection: authorization\r\n\r\n", 400, "connection-invalid"),
    refused(b"GET /a HTTP/1.1\r\n{C}connection: close, Idempotency-Key\r\n\r\n", 400, "connection-invalid"),
    refused(b"GET /a HTTP/1.1\r\n{C}connection: keep-alive\r\nconnection: host\r\n\r\n", 400, "connection-invalid"),
    refused(b"GET /a HTTP/1.1\r\n{C}connection: content-length\r\n\r\n", 400, "connection-invalid"),
    refused(b"GET /a HTTP/1.1\r\n{C}connection: te, X-Forwarded-For\r\n\r\n", 400, "connection-invalid"),
    // Too much.
    refused(b"GET /a HTTP/1.1\r\n{C}expect: 200-ok\r\n\r\n", 417, "expectation-failed"),
    refused(b"GET /a HTTP/1.1\r\n{C}{H 101}\r\n", 431, "headers-too-large"),
    refused(b"GET /a HTTP/1.1\r\n{C}{H 300}\r\n", 400, ""),
    refused(b"GET /a HTTP/1.1\r\n{C}x-a: {A 33000}\r\n\r\n", 431, "headers-too-large"),
    // Names that only the router may use, in any spelling.
    Case {
        request: b"GET /a HTTP/1.1\r\n{C}X-BulkHead-User: eve\r\nx-bulkhead-slot: 1\r\n\r\n",
        answer: Answer::Passes {
            line: "GET /a HTTP/1.1",
            body: "",
            with: &[("x-bulkhead-user", "ada"), ("x-bulkhead-slot", "47")],
            without: &["authorization"],
        },
    },
    Case {
        request: b"GET /a HTTP/1.1\r\n{C}x_bulkhead_user: eve\r\nX-Bulkhead_User: eve\r\nx_forwarded_for: 192.0.2.1\r\ntransfer_encoding: chunked\r\n\r\n",
        answer: Answer::Passes {
            line: "GET /a HTTP/1.1",
            body: "",
            with: &[("x-bulkhead-user", "ada")],
            without: &["x_bulkhead_user", "x-bulkhead_user", "x_forwarded_for", "transfer_encoding"],
        },
    },
    // Hearsay about the client.
    Case {
        request: b"GET /a HTTP/1.1\r\n{C}X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n\r\n",
        answer: Answer::Passes {
            line: "GET /a HTTP/1.1",
            body: "",
            with: &[("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "http"), ("forwarded", "for=127.0.0.1;proto=http")],
            without: &["x-forwarded-host", "x-real-ip"],
        },
    },
    // What is meant for the next hop.
    Case {
        request: b"GET /a HTTP/1.1\r\n{C}connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        answer: Answer::Passes {
            line: "GET /a HTTP/1.1",
            body: "",
            with: &[],
            without: &["upgrade", "http2-settings", "connection"],
        },
    },
    Case {
        request: b"GET /a HTTP/1.1\r\n{C}connection: keep-alive, te, trailer\r\nkeep-alive: timeout=9\r\nte: trailers\r\ntrailer: x-a\r\nproxy-connection: keep-alive\r\nproxy-authorization: Basic eA==\r\n\r\n",
        answer: Answer::Passes {
            line: "GET /a HTTP/1.1",
            body: "",
            with: &[],
            without: &["connection", "keep-alive", "te", "trailer", "proxy-connection", "proxy-authorization"],
        },
    },
    // A trailer is no header.
    Case {
        request: b"POST /a HTTP/1.1\r\n{C}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-bulkhead-user: eve\r\nx-a: 1\r\n\r\n",
        answer: Answer::Passes {
            line: "POST /a HTTP/1.1",
            body: "hello",
            with: &[("x-bulkhead-user", "ada"), ("transfer-encoding", "chunked")],
            without: &["x-a", "content-length"],
        },
    },
];
