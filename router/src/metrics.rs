//! Every metric of the router. Labels are configured cells and enums; no user ever is one.

mod edge;
mod traffic;

use std::sync::Arc;

use anyhow::Context as _;
use client::follow::{Followed, Refused};
use http::Method;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};
use topology::{CellId, SiteId};

use crate::decide::hold::Cause;
pub(crate) use edge::EdgeMetrics;
#[cfg(test)]
pub(crate) use traffic::counted;
pub(crate) use traffic::{Told, Traffic};

/// Buckets as in OpenTelemetry's HTTP conventions.
const REQUEST_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// From one back-off to the longest hold.
const HOLD_BUCKETS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0];

/// How one try at a site ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Answered,
    NotServing,
    Misdirected,
    Unreachable,
    Lost,
    OutcomeUnknown,
    /// A standby has answered with what it has heard.
    Stale,
    /// A standby was asked, and has nothing or is not there.
    NoStale,
}

impl Attempt {
    const ALL: [Self; 8] = [
        Self::Answered,
        Self::NotServing,
        Self::Misdirected,
        Self::Unreachable,
        Self::Lost,
        Self::OutcomeUnknown,
        Self::Stale,
        Self::NoStale,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotServing => "not-serving",
            Self::Misdirected => "misdirected",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::Stale => "stale",
            Self::NoStale => "no-stale",
        }
    }
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    Released,
    TimedOut,
    Full,
    /// The client went away.
    Gone,
    /// A standby was asked instead.
    Stale,
    /// The cell had an active site, and too much to do or too many failures.
    Refused,
}

impl Release {
    const ALL: [Self; 6] =
        [Self::Released, Self::TimedOut, Self::Full, Self::Gone, Self::Stale, Self::Refused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::TimedOut => "timed-out",
            Self::Full => "full",
            Self::Gone => "gone",
            Self::Stale => "stale",
            Self::Refused => "refused",
        }
    }
}

/// Why a request was refused in order to protect others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The user asks too often.
    UserRate,
    /// The cell is asked too often.
    CellRate,
    /// The cell's share of requests under way is in use.
    Overloaded,
    /// The cell's breaker is open.
    Unavailable,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::UserRate, Self::CellRate, Self::Overloaded, Self::Unavailable];

    fn as_str(self) -> &'static str {
        match self {
            Self::UserRate => "user-rate",
            Self::CellRate => "cell-rate",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "cell-unavailable",
        }
    }
}

/// What became of a line for the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Written,
    /// The queue was full.
    Dropped,
    /// The disk did not take it.
    Failed,
}

impl Line {
    const ALL: [Self; 3] = [Self::Written, Self::Dropped, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// What became of a request that was sent, and whose answer was lost, when it was to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Sent,
    /// The cell's budget was spent: it waits for more.
    OverBudget,
}

impl Retry {
    const ALL: [Self; 2] = [Self::Sent, Self::OverBudget];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::OverBudget => "over-budget",
        }
    }
}

pub(crate) struct Metrics {
    requests: HistogramVec,
    retries: IntCounterVec,
    attempts: IntCounterVec,
    holds: HistogramVec,
    refused: IntCounterVec,
    breakers: IntGaugeVec,
    pub(crate) live_routers: IntGauge,
    pub(crate) connections: IntGauge,
    access_log: IntCounterVec,
    pub(crate) held: IntGauge,
    table_version: IntGauge,
    table_epoch: IntGaugeVec,
    pub(crate) table_age: Gauge,
    table_stale: IntGauge,
    table_rolled_back: IntGauge,
    table_refused: IntCounterVec,
    pub(crate) edge: Arc<EdgeMetrics>,
    pub(crate) certificate_expires: GaugeVec,
    pub(crate) development_issuer: IntGauge,
}

impl Metrics {
    /// Makes and registers all of them, with every series of these cells there from the start.
    pub(crate) fn register(cells: &[CellId], sites: &[SiteId]) -> anyhow::Result<Self> {
        let registry = prometheus::default_registry();
        let metrics = Self {
            requests: histogram(
                registry,
                "http_server_request_duration_seconds",
                "How long requests took, from the head read to the last byte answered",
                &["http_request_method", "http_response_status_code", "cell"],
                &REQUEST_BUCKETS,
            )?,
            attempts: IntCounterVec::new(
                Opts::new("router_upstream_attempts_total", "Tries at sites, by how they ended"),
                &["cell", "outcome"],
            )?,
            retries: IntCounterVec::new(
                Opts::new("router_retries_total", "Repetitions of lost requests, sent or not yet"),
                &["cell", "outcome"],
            )?,
            holds: histogram(
                registry,
                "router_hold_seconds",
                "How long requests were kept waiting for a site",
                &["cause", "outcome"],
                &HOLD_BUCKETS,
            )?,
            refused: IntCounterVec::new(
                Opts::new("router_refused_total", "Requests refused in order to protect others"),
                &["cell", "reason"],
            )?,
            breakers: IntGaugeVec::new(
                Opts::new("router_breaker_open", "1 while a cell is left alone or tried again"),
                &["cell"],
            )?,
            live_routers: IntGauge::new(
                "router_live_routers",
                "Routers among which each cell's rate is divided, as last known",
            )?,
            connections: IntGauge::new("router_connections", "Users' open connections")?,
            access_log: IntCounterVec::new(
                Opts::new("router_access_log_lines_total", "Lines for the access log"),
                &["outcome"],
            )?,
            held: IntGauge::new("router_held_requests", "Requests waiting for a site now")?,
            table_version: IntGauge::new("router_table_version", "Version of the table in use")?,
            table_epoch: IntGaugeVec::new(
                Opts::new("router_table_epoch", "Epoch of each cell in the table in use"),
                &["cell"],
            )?,
            table_age: Gauge::new(
                "router_table_age_seconds",
                "Since when the table is not confirmed by etcd; 0 while it is",
            )?,
            table_stale: IntGauge::new("router_table_stale", "1 while etcd is out of reach")?,
            table_rolled_back: IntGauge::new(
                "router_table_rolled_back",
                "1 while a person has the table rolled back",
            )?,
            table_refused: IntCounterVec::new(
                Opts::new("router_table_refused_total", "Snapshots refused since the start"),
                &["reason"],
            )?,
            edge: Arc::new(EdgeMetrics::register(registry)?),
            certificate_expires: GaugeVec::new(
                Opts::new(
                    "router_certificate_expires_timestamp_seconds",
                    "When each certificate for users ends, in seconds since 1970; 0 without it",
                ),
                &["file"],
            )?,
            development_issuer: IntGauge::new(
                "router_development_issuer",
                "1 where whoever has the development key is any user",
            )?,
        };
        registry.register(Box::new(metrics.attempts.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.breakers.clone()))?;
        registry.register(Box::new(metrics.live_routers.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.access_log.clone()))?;
        registry.register(Box::new(metrics.held.clone()))?;
        registry.register(Box::new(metrics.table_version.clone()))?;
        registry.register(Box::new(metrics.table_epoch.clone()))?;
        registry.register(Box::new(metrics.table_age.clone()))?;
        registry.register(Box::new(metrics.table_stale.clone()))?;
        registry.register(Box::new(metrics.certificate_expires.clone()))?;
        registry.register(Box::new(metrics.development_issuer.clone()))?;
        registry.register(Box::new(metrics.table_rolled_back.clone()))?;
        registry.register(Box::new(metrics.table_refused.clone()))?;
        metrics.begin(cells);
        metrics.edge.begin(sites);
        Ok(metrics)
    }

    /// Shows every series from the start: one that appears with its first count looks like none.
    fn begin(&self, cells: &[CellId]) {
        for reason in Refused::reasons() {
            self.table_refused.with_label_values(&[reason]);
        }
        for cell in cells {
            self.table_epoch.with_label_values(&[cell.as_str()]);
            for method in ["GET", "POST"] {
                for status in ["200", "503"] {
                    self.requests.with_label_values(&[method, status, cell.as_str()]);
                }
            }
            for outcome in Attempt::ALL {
                self.attempts.with_label_values(&[cell.as_str(), outcome.as_str()]);
            }
            for outcome in Retry::ALL {
                self.retries.with_label_values(&[cell.as_str(), outcome.as_str()]);
            }
            for reason in Refusal::ALL {
                self.refused.with_label_values(&[cell.as_str(), reason.as_str()]);
            }
            self.breaker(cell, true);
        }
        for outcome in Line::ALL {
            self.access_log.with_label_values(&[outcome.as_str()]);
        }
        for cause in Cause::ALL {
            for outcome in Release::ALL {
                self.holds.with_label_values(&[cause.as_str(), outcome.as_str()]);
            }
        }
    }

    /// Notes what is in use now.
    pub(crate) fn table(&self, followed: &Followed) {
        for (cell, routed) in &followed.snapshot.cells {
            let epoch = i64::try_from(routed.activation.epoch.0).unwrap_or(i64::MAX);
            self.table_epoch.with_label_values(&[cell.as_str()]).set(epoch);
        }
        let version = followed.snapshot.version.0;
        self.table_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        self.table_stale.set(i64::from(followed.stale));
        self.table_rolled_back.set(i64::from(followed.rolled_back.is_some()));
    }

    /// Notes what was offered and not used.
    pub(crate) fn table_refused(&self, refused: &Refused) {
        for (reason, count) in &refused.counts {
            let counter = self.table_refused.with_label_values(&[reason]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    pub(crate) fn attempt(&self, cell: &CellId, outcome: Attempt) {
        self.attempts.with_label_values(&[cell.as_str(), outcome.as_str()]).inc();
    }

    pub(crate) fn retry(&self, cell: &CellId, outcome: Retry) {
        self.retries.with_label_values(&[cell.as_str(), outcome.as_str()]).inc();
    }

    pub(crate) fn refused(&self, cell: &CellId, reason: Refusal) {
        self.refused.with_label_values(&[cell.as_str(), reason.as_str()]).inc();
    }

    pub(crate) fn breaker(&self, cell: &CellId, is_closed: bool) {
        self.breakers.with_label_values(&[cell.as_str()]).set(i64::from(!is_closed));
    }

    pub(crate) fn hold(&self, cause: Cause, outcome: Release) -> Histogram {
        self.holds.with_label_values(&[cause.as_str(), outcome.as_str()])
    }

    pub(crate) fn access_log(&self, outcome: Line, lines: usize) {
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        self.access_log.with_label_values(&[outcome.as_str()]).inc_by(lines);
    }

    /// Notes an answered request; `cell` is `none` where no cell was found.
    pub(crate) fn request(&self, method: &Method, status: u16, cell: &str, seconds: f64) {
        let status = status.to_string();
        self.requests.with_label_values(&[known(method), &status, cell]).observe(seconds);
    }
}

/// Methods are the client's words; only those of the standard become labels.
pub(crate) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> anyhow::Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let histogram = HistogramVec::new(options, labels).with_context(|| format!("name {name}"))?;
    registry.register(Box::new(histogram.clone())).with_context(|| format!("register {name}"))?;
    Ok(histogram)
}
