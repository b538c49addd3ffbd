//! What a process says at `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use runtime::HttpClient;

use crate::timings::milliseconds;

/// A process that is busy answers late.
const LIMIT: Duration = Duration::from_secs(5);

/// Every series, by name and labels as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(BTreeMap<String, f64>);

impl Series {
    pub(crate) async fn read(http: &HttpClient, address: SocketAddr) -> anyhow::Result<Self> {
        let url = format!("http://{address}/metrics");
        let answer = http.call(http::Method::GET, &url, http::HeaderMap::new(), "", LIMIT).await;
        let answer = answer.with_context(|| format!("read {url}"))?;
        Ok(Self::parse(&String::from_utf8_lossy(&answer.body)))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// 0 if there is no such series.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// How much it has grown since `before`.
    pub(crate) fn since(&self, before: &Self, name: &str) -> f64 {
        self.get(name) - before.get(name)
    }

    /// Adds a histogram's buckets since `before` to those of other processes.
    pub(crate) fn add_buckets(&self, before: &Self, name: &str, buckets: &mut Buckets) {
        let start = format!("{name}_bucket{{le=\"");
        let own = self.0.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
        for (key, value) in own {
            // `+Inf` is longer than all.
            let bound = key[start.len()..].trim_end_matches("\"}").parse::<f64>();
            let bound = bound.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            *buckets.0.entry(bound.unwrap_or(Duration::MAX)).or_default() +=
                value - before.get(key);
        }
    }
}

/// How often something took at most so long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets(BTreeMap<Duration, f64>);

impl Buckets {
    pub(crate) fn count(&self) -> f64 {
        self.0.last_key_value().map_or(0.0, |(_, count)| *count)
    }

    /// Returns the bound below which this share of all were, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> String {
        if self.count() < 1.0 {
            return "–".to_owned();
        }
        let wanted = self.count() * share;
        match self.0.iter().find(|(_, count)| **count >= wanted) {
            Some((bound, _)) if *bound < Duration::MAX => format!("≤ {}", milliseconds(*bound)),
            Some(_) | None => "longer".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_counted_in_between() {
        let text = |counts: [u32; 3]| {
            let [one, two, all] = counts;
            format!(
                "# HELP t x\nt_bucket{{le=\"0.01\"}} {one}\nt_bucket{{le=\"0.5\"}} {two}\n\
                 t_bucket{{le=\"+Inf\"}} {all}\nt_count {all}\n"
            )
        };
        let (before, after) =
            (Series::parse(&text([5, 5, 5])), Series::parse(&text([95, 104, 105])));
        let mut buckets = Buckets::default();
        after.add_buckets(&before, "t", &mut buckets);
        assert_eq!(format!("{:.0}", buckets.count()), "100");
        assert_eq!(
            [0.5, 0.99, 1.0].map(|share| buckets.quantile(share)),
            ["≤ 10.0", "≤ 500", "longer"]
        );
        assert_eq!(format!("{:.0}", after.since(&before, "t_count")), "100");
    }
}
