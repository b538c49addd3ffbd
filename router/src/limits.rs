//! How large a request may be. Checked on its head, before anything else is done with it.

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use runtime::Problem;

/// Longest path and query; what browsers and common servers agree on.
const URI_MAX: usize = 8 * 1024;
/// Most header lines. Clients of the API send about ten, browsers about twenty.
const HEADERS_MAX: usize = 100;
/// All names and values together: a large cookie and a large token fit.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Largest body: what Pingora keeps in order to send a request again, and the chain's own limit.
pub(crate) const BODY_MAX: usize = 64 * 1024;

/// Returns what is too large about a request's head, if something is.
pub(crate) fn check(head: &Parts) -> Result<(), Problem> {
    let uri = head.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > URI_MAX {
        return Err(Problem::new(414, "uri-too-long", "The URI is too long")
            .detail(format!("{uri} bytes; at most {URI_MAX} are accepted")));
    }
    let bytes: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head.headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        let count = head.headers.len();
        return Err(Problem::new(431, "headers-too-large", "The headers are too large").detail(
            format!(
                "{count} headers with {bytes} bytes; at most {HEADERS_MAX} with \
                 {HEADER_BYTES_MAX} bytes are accepted"
            ),
        ));
    }
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > BODY_MAX as u64 => Err(body_too_large()),
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn body_too_large() -> Problem {
    Problem::new(413, "payload-too-large", "The body is too large")
        .detail(format!("at most {BODY_MAX} bytes are accepted"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn an_ordinary_request_passes() {
        assert_eq!(code(Request::get("/v1/conversations").header("content-length", "65536")), None);
    }

    #[test]
    fn each_limit_has_its_own_code() {
        let long = format!("/{}", "a".repeat(URI_MAX));
        assert_eq!(code(Request::get(long)).as_deref(), Some("uri-too-long"));
        let large = "a".repeat(HEADER_BYTES_MAX);
        assert_eq!(
            code(Request::get("/").header("cookie", large)).as_deref(),
            Some("headers-too-large")
        );
        let many = (0..=HEADERS_MAX)
            .fold(Request::get("/"), |request, n| request.header(format!("x-{n}"), "1"));
        assert_eq!(code(many).as_deref(), Some("headers-too-large"));
        assert_eq!(
            code(Request::post("/").header("content-length", "65537")).as_deref(),
            Some("payload-too-large")
        );
    }

    fn code(request: http::request::Builder) -> Option<String> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head).err().map(|problem| problem.code)
    }
}
