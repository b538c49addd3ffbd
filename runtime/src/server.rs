//! Serving axum routes: traced, measured, and ended gracefully.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::{Listener, ListenerExt as _};
use prometheus::{HistogramVec, register_histogram_vec};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

use crate::telemetry;

/// Buckets as in OpenTelemetry's HTTP conventions.
const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "http_server_request_duration_seconds",
        "How long requests took, from the head read to the head answered",
        &["http_request_method", "http_response_status_code", "http_route"],
        BUCKETS.to_vec()
    )
    .expect("registered once")
});

/// How long requests may go on after the process was asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until stopped; then finishes what is in flight, for at most two seconds. Routes find who is
/// at the other end in `ConnectInfo<SocketAddr>`.
pub async fn serve<L>(listener: L, routes: Router, stop: CancellationToken) -> anyhow::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    let asked = stop.clone();
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    // Nothing is done with connections: in this form, any listener tells who connects.
    let server = axum::serve(listener.tap_io(|_| ()), routes)
        .with_graceful_shutdown(async move { asked.cancelled().await });
    tokio::select! {
        ended = async { server.await } => ended.context("serve requests"),
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// Wraps routes so that each request is a span of the caller's trace, and is measured.
pub fn observed(routes: Router) -> Router {
    routes.layer(from_fn(observe))
}

async fn observe(request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = info_span!(
        "serve request",
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    telemetry::adopt(&span, request.headers());
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    DURATION
        .with_label_values(&[method.as_str(), response.status().as_str(), route.as_str()])
        .observe(started.elapsed().as_secs_f64());
    response
}
