//! One request in the access log. Every part has a bound, and none is personal.

use std::time::Duration;

use pingora_proxy::Session;
use runtime::telemetry;
use serde::Serialize;

use super::path;
use crate::forwarding::Forwarding;
use crate::metrics::known;

/// Why it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Why {
    Sampled,
    Slow,
    Failed,
}

#[derive(Serialize)]
pub(super) struct Line {
    /// When it was over, in milliseconds since 1970.
    at_ms: u64,
    why: Why,
    protocol: &'static str,
    method: &'static str,
    /// Its words; `*` in place of what may be somebody's.
    path: String,
    /// None where the client got no answer.
    status: Option<u16>,
    /// What the router said where the answer is its own.
    problem: Option<String>,
    cell: Option<String>,
    region: Option<String>,
    epoch: Option<u64>,
    slot: Option<u16>,
    route_version: Option<u64>,
    /// A standby answered with what it had heard.
    stale: bool,
    elapsed_ms: f64,
    body_bytes: usize,
    trace: Option<String>,
}

impl Line {
    pub(super) fn new(
        why: Why,
        session: &Session,
        request: &Forwarding,
        status: Option<u16>,
        elapsed: Duration,
    ) -> Self {
        let head = session.req_header();
        let attempt = request.attempt.as_ref();
        let site = attempt.map(|attempt| &attempt.site);
        Self {
            at_ms: runtime::clock::unix_millis(),
            why,
            protocol: if head.version == http::Version::HTTP_2 { "h2" } else { "h1" },
            method: known(&head.method),
            path: path::words(head.uri.path()),
            status,
            problem: request.said.clone(),
            cell: site.map(|site| site.cell.to_string()),
            region: site.and_then(|site| Some(site.headers.region.to_str().ok()?.to_owned())),
            epoch: site.map(|site| site.epoch.0),
            slot: request.asker.as_ref().and_then(|asker| Some(asker.aim.slot()?.number())),
            route_version: attempt.map(|attempt| attempt.version.0),
            stale: attempt.is_some_and(|attempt| attempt.is_stale),
            elapsed_ms: elapsed.as_secs_f64() * 1000.0,
            body_bytes: session.as_ref().body_bytes_sent(),
            trace: telemetry::trace_id(&request.span, &head.headers),
        }
    }
}

/// Returns these lines as they are written.
pub(super) fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len() * 256);
    for line in lines {
        serde_json::to_writer(&mut text, line).expect("lines are numbers and text");
        text.push(b'\n');
    }
    text
}
