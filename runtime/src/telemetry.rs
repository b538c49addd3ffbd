//! Logs, traces and the metrics registry.
//!
//! Logs are JSON lines on standard output. Traces go to `OTEL_EXPORTER_OTLP_ENDPOINT` when that is
//! set, from a bounded queue on a runtime of its own: a collector that is slow or gone costs spans,
//! never a request. Metrics live in prometheus's default registry and are served by `admin`.

use anyhow::Context as _;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Runtime;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Target of the spans that are made for each request, at DEBUG: unless traces are exported or requests
/// debugged there is nothing to be made.
pub const REQUEST: &str = "request";
/// Share of the traces that are kept: all at first, an operator lowers it under load.
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Keeps telemetry going; dropping it sends what is left.
pub struct Telemetry {
    traces: Option<(SdkTracerProvider, Runtime)>,
}

/// Starts logs and traces for a process. `instance` tells processes of one service apart.
pub fn start(service: &str, instance: &str, region: Option<&str>) -> anyhow::Result<Telemetry> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let filter = EnvFilter::try_from_env("BULKHEAD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_filter(filter);
    let traces = match std::env::var(ENDPOINT) {
        Ok(endpoint) if !endpoint.is_empty() => {
            Some(exporter(&endpoint, service, instance, region)?)
        }
        Ok(_) | Err(_) => None,
    };
    let spans = traces.as_ref().map(|(provider, _)| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("bulkhead")).with_filter(
            EnvFilter::new(format!("info,{REQUEST}=debug,h2=off,hyper=off,tonic=off,tower=off")),
        )
    });
    tracing_subscriber::registry().with(logs).with(spans).try_init().context("start logging")?;
    Ok(Telemetry { traces })
}

fn exporter(
    endpoint: &str,
    service: &str,
    instance: &str,
    region: Option<&str>,
) -> anyhow::Result<(SdkTracerProvider, Runtime)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("export-traces")
        .enable_all()
        .build()
        .context("start the runtime that exports traces")?;
    let entered = runtime.enter();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("export traces to {endpoint}"))?;
    drop(entered);
    let ratio = std::env::var(RATIO).ok().and_then(|ratio| ratio.parse().ok()).unwrap_or(1.0);
    let mut attributes = vec![KeyValue::new("service.instance.id", instance.to_owned())];
    attributes.extend(region.map(|region| KeyValue::new("cloud.region", region.to_owned())));
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attributes(attributes)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build();
    Ok((provider, runtime))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some((provider, runtime)) = self.traces.take() {
            if let Err(err) = provider.shutdown() {
                tracing::debug!(error = %err, "last traces were not sent");
            }
            // A runtime may not be waited for inside another one.
            runtime.shutdown_background();
        }
    }
}

/// Writes the current trace into a request's headers.
pub fn inject(headers: &mut HeaderMap) {
    inject_from(&Span::current(), headers);
}

/// Writes a span's trace into a request's headers.
pub fn inject_from(span: &Span, headers: &mut HeaderMap) {
    let context = span.context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(headers));
    });
}

/// Makes a span part of the trace that a request's headers name.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&Names(headers)));
    if let Err(err) = span.set_parent(context) {
        tracing::trace!(error = %err, "span has no place in the caller's trace");
    }
}

/// Returns the id of the trace that a span belongs to; without a span, of the one its request's headers
/// name.
pub fn trace_id(span: &Span, headers: &HeaderMap) -> Option<String> {
    let of = |context: opentelemetry::Context| {
        let id = context.span().span_context().trace_id();
        (id != TraceId::INVALID).then(|| id.to_string())
    };
    let named =
        || global::get_text_map_propagator(|propagator| propagator.extract(&Names(headers)));
    of(span.context()).or_else(|| of(named()))
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, name: &str, value: String) {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Names<'a>(&'a HeaderMap);

impl Extractor for Names<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
