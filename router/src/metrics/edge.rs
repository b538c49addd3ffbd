//! What is read without an identity: the cache, and how near the sites are.

use std::time::Duration;

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use topology::SiteId;

use crate::cache::Status;
use crate::decide::nearest::Outcome;

pub(crate) struct EdgeMetrics {
    cached: IntCounterVec,
    objects: IntGauge,
    bytes: IntGauge,
    evicted: IntCounter,
    reads: IntCounterVec,
    latency: GaugeVec,
}

impl EdgeMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::make()?;
        registry.register(Box::new(metrics.cached.clone()))?;
        registry.register(Box::new(metrics.objects.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.evicted.clone()))?;
        registry.register(Box::new(metrics.reads.clone()))?;
        registry.register(Box::new(metrics.latency.clone()))?;
        Ok(metrics)
    }

    /// Shows every series of these sites from the start.
    pub(super) fn begin(&self, sites: &[SiteId]) {
        for status in Status::ALL {
            self.cached.with_label_values(&[status.as_str()]);
        }
        for SiteId { cell, region } in sites {
            for outcome in Outcome::ALL {
                let labels = [cell.as_str(), region.as_str(), outcome.as_str()];
                self.reads.with_label_values(&labels);
            }
        }
    }

    fn make() -> prometheus::Result<Self> {
        Ok(Self {
            cached: IntCounterVec::new(
                Opts::new("router_cache_requests_total", "Cacheable requests, by what came of it"),
                &["outcome"],
            )?,
            objects: IntGauge::new("router_cache_objects", "Objects kept now")?,
            bytes: IntGauge::new("router_cache_bytes", "Bytes they take, overhead included")?,
            evicted: IntCounter::new("router_cache_evictions_total", "Objects that made room")?,
            reads: IntCounterVec::new(
                Opts::new("router_nearest_attempts_total", "Tries at near sites, probes included"),
                &["cell", "region", "outcome"],
            )?,
            latency: GaugeVec::new(
                Opts::new("router_nearest_latency_seconds", "Moving average of a site's answers"),
                &["cell", "region"],
            )?,
        })
    }

    /// Metrics that nobody reads, for tests.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        Self::make().expect("the names are valid")
    }

    pub(crate) fn cached(&self, status: Status) {
        self.cached.with_label_values(&[status.as_str()]).inc();
    }

    pub(crate) fn cache_holds(&self, objects: usize, bytes: usize) {
        self.objects.set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn cache_evicted(&self, objects: usize) {
        self.evicted.inc_by(objects as u64);
    }

    /// Notes how a try at a site ended, and what its latency is taken for now.
    pub(crate) fn read(&self, site: &SiteId, outcome: Outcome, latency: Option<Duration>) {
        let (cell, region) = (site.cell.as_str(), site.region.as_str());
        self.reads.with_label_values(&[cell, region, outcome.as_str()]).inc();
        if let Some(latency) = latency {
            self.latency.with_label_values(&[cell, region]).set(latency.as_secs_f64());
        }
    }
}
