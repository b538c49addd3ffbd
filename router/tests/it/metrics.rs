//! Every metric is there before anything has happened, under the name and with the labels that
//! dashboards know; and no client can make another label.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use http::Method;

use crate::client::{head_of, read_until};
use crate::site::{Act, Site};
use crate::world::World;

/// Each metric, and what its labels say from the start. Another cell, region or file adds to it.
const SERIES: &str = "
http_server_request_duration_seconds_count cell=c1 http_request_method=GET|POST http_response_status_code=200|503
router_access_log_lines_total outcome=dropped|failed|written
router_breaker_open cell=c1
router_build_info version=…
router_cache_bytes
router_cache_evictions_total
router_cache_objects
router_cache_requests_total outcome=coalesced|expired|hit|miss|passed|revalidated|stale
router_connections
router_development_issuer
router_held_requests
router_hold_seconds_count cause=lost|misdirected|no-active-site|no-table|not-serving|unreachable outcome=full|gone|refused|released|stale|timed-out
router_live_routers
router_nearest_attempts_total cell=c1 outcome=abandoned|answered|failed region=east|north|south
router_refused_total cell=c1 reason=cell-rate|cell-unavailable|overloaded|user-rate
router_retries_total cell=c1 outcome=over-budget|sent
router_table_age_seconds
router_table_epoch cell=c1
router_table_refused_total reason=empty|malformed|no-gateway|older-epoch|older-version|shrunken|too-many-moves|unknown-cell
router_table_rolled_back
router_table_stale
router_table_version
router_upstream_attempts_total cell=c1 outcome=answered|lost|misdirected|no-stale|not-serving|outcome-unknown|stale|unreachable
";

/// What else the labels may say once something has happened: methods of the standard, statuses of
/// three digits, and `none` for a request that found no cell.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"];

type Labels = BTreeMap<String, BTreeSet<String>>;

#[tokio::test]
async fn every_metric_exists_from_the_start_with_all_that_its_labels_say() {
    let world = World::start().await;
    let mut told = String::new();
    for (name, labels) in metrics(&world.metrics().await) {
        told.push_str(&name);
        for (label, values) in labels {
            write!(told, " {label}={}", Vec::from_iter(values).join("|")).unwrap();
        }
        told.push('\n');
    }
    assert!(told == SERIES.trim_start(), "{told}");
}

#[tokio::test]
async fn nothing_that_a_client_says_becomes_a_label() {
    let site = Site::start([Act::Fail, Act::Shed, Act::NotServing]);
    let world = World::with_files(site.address).await;
    let before = metrics(&world.metrics().await);
    let client = world.client();
    for method in ["PUT", "PROPFIND", "X-STRANGE", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        client.ask(method, &[("x-strange", "strange")], "").await;
    }
    for user in ["strange-1", "strange-2"] {
        let request = head_of(user, "GET", "x-bulkhead-cell: strange\r\n");
        read_until(&mut client.open(request.as_bytes()).await, "\r\n\r\n").await;
    }
    for path in ["/strange", "/widget/strange.js?strange", "/cells/strange/v1/tickets"] {
        client.ask_as_is(Method::GET, path, &[("host", "strange")], "").await;
    }
    let after = metrics(&world.metrics().await);
    for (name, labels) in &after {
        for (label, values) in labels {
            let known = before.get(name).and_then(|before| before.get(label));
            let is_bounded = |value: &&String| match label.as_str() {
                "http_request_method" => METHODS.contains(&value.as_str()),
                "http_response_status_code" => value.len() == 3 && value.parse::<u16>().is_ok(),
                "cell" => *value == "c1" || *value == "none",
                "region" => ["east", "north", "south"].contains(&value.as_str()),
                _ => known.is_some_and(|known| known.contains(*value)),
            };
            let beyond: Vec<_> = values.iter().filter(|value| !is_bounded(value)).collect();
            assert!(beyond.is_empty(), "{name} has {label} = {beyond:?}");
        }
    }
}

/// Returns every metric of the router with its labels and what each says.
fn metrics(text: &str) -> BTreeMap<String, Labels> {
    let mut metrics: BTreeMap<String, Labels> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let is_ours = name.starts_with("router_") || name.starts_with("http_");
        if !is_ours || name.ends_with("_bucket") || name.ends_with("_sum") {
            continue;
        }
        let known = metrics.entry(name.to_owned()).or_default();
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            let is_of_the_build = matches!(label, "version" | "revision");
            let value = if is_of_the_build { "…" } else { value.trim_matches('"') };
            known.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    metrics
}
