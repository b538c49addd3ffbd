//! Refuses a request that different programs would read differently, before anything is decided by
//! it, and brings its target into the one form that everything after this sees.

use http::header::TRANSFER_ENCODING;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use runtime::Problem;

use crate::decide::arrival::Corrected;
use crate::decide::framing::{self, Malformed};
use crate::decide::target::{self, BadTarget};
use crate::forwarding::Forwarding;
use crate::pace;

/// Checks a request's head; the answer to a bad one closes the connection.
pub(crate) fn check(session: &mut Session, request: &mut Forwarding) -> Result<()> {
    let raw = session
        .as_http1()
        .map(pingora_core::protocols::http::v1::server::HttpSession::get_headers_raw_bytes);
    match target_of(session, raw.as_deref()) {
        Ok(None) => Ok(()),
        Ok(Some(normal)) => session.req_header_mut().set_raw_path(normal.as_bytes()),
        Err(problem) => {
            request.problem = Some(problem);
            Error::e_explain(ErrorType::InvalidHTTPHeader, "the request is ambiguous")
                .map_err(Error::into_down)
        }
    }
}

/// Returns the normal form of the target, where that is another one; `raw` are the head's bytes where
/// it came as HTTP/1.
fn target_of(session: &Session, raw: Option<&[u8]>) -> Result<Option<String>, Problem> {
    let head = session.req_header();
    framing::check(head, raw).map_err(malformed)?;
    if let Some(raw) = raw {
        let is_chunked = head.headers.contains_key(TRANSFER_ENCODING);
        pace::as_sent(session, raw.len(), is_chunked).map_err(corrected)?;
        target::no_fragment(raw).map_err(bad_target)?;
    }
    target::normal(head.raw_path()).map_err(bad_target)
}

/// Returns what is said of what the parser has made something else of.
pub(crate) fn corrected(what: Corrected) -> Problem {
    match what {
        Corrected::Target => bad_target(BadTarget::Characters),
        Corrected::ChunkSize => malformed(Malformed::ChunkSize),
    }
}

fn malformed(why: Malformed) -> Problem {
    let (status, code, title) = match why {
        Malformed::BareLineFeed
        | Malformed::TwoLengths
        | Malformed::Length
        | Malformed::Coding
        | Malformed::OldCoding
        | Malformed::ChunkSize => {
            (400, "ambiguous-framing", "It is not clear where the request ends")
        }
        Malformed::Host => (400, "host-invalid", "The request names no possible host"),
        Malformed::Connection => {
            (400, "connection-invalid", "The request would lose a header on its way")
        }
        Malformed::Expectation => (417, "expectation-failed", "The expectation cannot be met"),
        Malformed::Method => (405, "method-not-allowed", "The method is not served"),
        Malformed::UnknownMethod => (501, "method-unknown", "The method is not known"),
    };
    let problem = Problem::new(status, code, title).detail(why.to_string());
    if status == 405 {
        return problem.header("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    problem
}

fn bad_target(why: BadTarget) -> Problem {
    Problem::new(400, "target-invalid", "The request's target is ambiguous").detail(why.to_string())
}
