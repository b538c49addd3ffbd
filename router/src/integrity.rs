//! Refuses a request that different programs would read differently, before anything is decided by
//! it, and brings its target into the one form that everything after this sees.

use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use runtime::Problem;

use crate::decide::framing::{self, Malformed};
use crate::decide::target::{self, BadTarget};
use crate::forwarding::Forwarding;

/// Checks a request's head; the answer to a bad one closes the connection.
pub(crate) fn check(session: &mut Session, request: &mut Forwarding) -> Result<()> {
    let raw = session
        .as_http1()
        .map(pingora_core::protocols::http::v1::server::HttpSession::get_headers_raw_bytes);
    let head = session.req_header_mut();
    let problem = match framing::check(head, raw.as_deref()) {
        Ok(()) => match target::normal(head.raw_path()) {
            Ok(None) => return Ok(()),
            Ok(Some(normal)) => return head.set_raw_path(normal.as_bytes()),
            Err(why) => bad_target(why),
        },
        Err(why) => malformed(why),
    };
    request.problem = Some(problem);
    Error::e_explain(ErrorType::InvalidHTTPHeader, "the request is ambiguous")
        .map_err(Error::into_down)
}

fn malformed(why: Malformed) -> Problem {
    let (status, code, title) = match why {
        Malformed::BareLineFeed
        | Malformed::TwoLengths
        | Malformed::Length
        | Malformed::Coding
        | Malformed::OldCoding => {
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
