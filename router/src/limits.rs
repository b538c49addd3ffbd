//! How large a request may be. Checked on its head, before anything else is done with it.

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use runtime::Problem;
use topology::spec::edge::Limits;

/// Returns what is too large about a request's head, if something is.
pub(crate) fn check(head: &Parts, limits: &Limits) -> Result<(), Problem> {
    let (uri_max, headers_max, bytes_max) =
        (limits.head.uri, limits.head.headers as usize, limits.head.bytes);
    let uri = head.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > uri_max {
        return Err(Problem::new(414, "uri-too-long", "The URI is too long")
            .detail(format!("{uri} bytes; at most {uri_max} are accepted")));
    }
    let bytes: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head.headers.len() > headers_max || bytes > bytes_max {
        let count = head.headers.len();
        return Err(Problem::new(431, "headers-too-large", "The headers are too large").detail(
            format!(
                "{count} headers with {bytes} bytes; at most {headers_max} with {bytes_max} bytes \
                 are accepted"
            ),
        ));
    }
    // A number that is too large for one is too large for a body.
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match length.map(|length| length.parse().unwrap_or(u64::MAX)) {
        Some(length) if length > limits.body as u64 => Err(body_too_large(limits)),
        Some(_) | None => Ok(()),
    }
}

/// Returns whether a problem is one of these; nothing more is read from who sends such requests.
pub(crate) fn are_exceeded(problem: &Problem) -> bool {
    matches!(problem.status, 413 | 414 | 431)
}

pub(crate) fn body_too_large(limits: &Limits) -> Problem {
    Problem::new(413, "payload-too-large", "The body is too large")
        .detail(format!("at most {} bytes are accepted", limits.body))
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
        let limits = Limits::default();
        let long = format!("/{}", "a".repeat(limits.head.uri));
        assert_eq!(code(Request::get(long)).as_deref(), Some("uri-too-long"));
        let large = "a".repeat(limits.head.bytes);
        assert_eq!(
            code(Request::get("/").header("cookie", large)).as_deref(),
            Some("headers-too-large")
        );
        let many = (0..=limits.head.headers)
            .fold(Request::get("/"), |request, n| request.header(format!("x-{n}"), "1"));
        assert_eq!(code(many).as_deref(), Some("headers-too-large"));
        assert_eq!(
            code(Request::post("/").header("content-length", "65537")).as_deref(),
            Some("payload-too-large")
        );
    }

    fn code(request: http::request::Builder) -> Option<String> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head, &Limits::default()).err().map(|problem| problem.code)
    }
}
