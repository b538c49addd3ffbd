//! What routers tell, as the overview shows it.

use std::collections::BTreeMap;

use topology::wire::key;
use topology::wire::report::{RouterReport, TrafficSecond};

use crate::browser::Browser;
use crate::platform::Platform;

/// Writes a router's report as it does itself, and waits until it is seen.
pub(super) async fn holds(browser: &Browser, platform: &Platform, held: u64) {
    let report =
        RouterReport { sequence: 3, version: 41, stale: false, held, traffic: BTreeMap::new() };
    tell(platform, &report).await;
    browser.until("#router-edge-1 td", &held.to_string()).await;
}

/// A router lives on what it last knew and holds requests, then tells what users get.
pub(super) async fn sees_what_users_get(browser: &Browser, platform: &Platform) {
    let quiet = RouterReport {
        sequence: 1,
        version: 41,
        stale: true,
        held: 12_345,
        traffic: BTreeMap::new(),
    };
    tell(platform, &quiet).await;
    for told in ["stale", "41", "12,345"] {
        browser.until("#router-edge-1 td", told).await;
    }
    browser.until(".attention .warn", "A router lives on what it last knew").await;
    browser.until(".counts .short", "0 / 1 Routers up to date").await;
    browser.until("#cell-c1 td", "too few requests to tell").await;

    // Of ten seconds: a twentieth is answered badly, and a twentieth of the tries finds nobody.
    let seconds = [(20, 19), (60, 0)].map(|(median_ms, failed)| TrafficSecond {
        requests: 190,
        failed,
        unreachable: 10,
        median_ms,
    });
    let traffic = BTreeMap::from([("c1".to_owned(), seconds.to_vec())]);
    tell(platform, &RouterReport { sequence: 2, stale: false, held: 0, traffic, ..quiet.clone() })
        .await;
    browser.until("#cell-c1 td", "38 requests/s").await;
    browser.until("#cell-c1 td .warn", "10.0 % fail").await;
    browser.until("#cell-c1 td", "half within 40 ms").await;
    browser.screenshot("overview-traffic-light-1280").await;
    browser.until("#router-edge-1 td", "follows").await;
    browser.until("section", "Nothing needs attention.").await;
}

async fn tell(platform: &Platform, report: &RouterReport) {
    let value = serde_json::to_vec(report).unwrap();
    platform.client.put(&key::router("edge-1"), value).await.unwrap();
}
