//! The span of a request, made only where somebody looks at it: while traces are exported, or
//! requests are debugged.

use http::HeaderMap;
use http::request::Parts;
use pingora_core::Result;
use pingora_http::RequestHeader;
use runtime::telemetry;
use tracing::{Span, debug_span};

/// Begins the span of a request, within its client's trace; a disabled one where nobody looks.
pub(crate) fn begin(head: &Parts) -> Span {
    let span = debug_span!(
        target: telemetry::REQUEST,
        "forward request",
        otel.kind = "server",
        http.request.method = %head.method,
        http.response.status_code = tracing::field::Empty,
        cell.id = tracing::field::Empty,
        routing.epoch = tracing::field::Empty,
    );
    if !span.is_disabled() {
        telemetry::adopt(&span, &head.headers);
    }
    span
}

/// Tells the site which trace the request belongs to. Without a span of the router's own, that is
/// what the client said, as it is.
pub(crate) fn pass_on(span: &Span, request: &mut RequestHeader) -> Result<()> {
    if span.is_disabled() {
        return Ok(());
    }
    let mut trace = HeaderMap::new();
    telemetry::inject_from(span, &mut trace);
    for (name, value) in &trace {
        request.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}
