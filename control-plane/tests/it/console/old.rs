//! What pages say of themselves once nothing new reaches them: of a control plane that has ended, and
//! without etcd.

use runtime::{Tasks, clock};

use super::of_routers;
use crate::browser::Browser;
use crate::etcd::Etcd;
use crate::forms::url;
use crate::platform::{LIMIT, Platform, VIEWER};

/// The control plane in another region ends under its page, and comes back.
pub(super) async fn is_told_what_is_old(browser: &Browser, platform: &Platform) {
    let south = platform.url("south", "/console");
    let mut tasks = Tasks::default();
    platform.control_plane(&mut tasks, "south");
    let watches = async {
        platform.until_known("south").await;
        browser.open(&south).await;
        browser.write("#token", VIEWER).await;
        browser.click("button.main").await;
        browser.until("#live", "Live").await;
    };
    tasks.run(watches, LIMIT).await.unwrap();
    browser.until("#live", "Stale since").await;
    browser.screenshot("overview-stale-light-1280").await;
    let mut tasks = Tasks::default();
    platform.control_plane(&mut tasks, "south");
    tasks.run(browser.until("#live", "Live"), LIMIT).await.unwrap();
}

/// etcd dies under the pages: they say since when they are not sure, as long as that is so.
pub(super) async fn is_told_since_when_etcd_is_away(
    browser: &Browser,
    platform: &Platform,
    etcd: Etcd,
) {
    browser.open(&url(platform, "/console")).await;
    browser.until("h1", "Overview").await;
    let alive = clock::unix_millis();
    of_routers::holds(browser, platform, 77).await;
    etcd.kill().await;
    let dead = clock::unix_millis();
    browser.until("main > .notice", "etcd has not been read since").await;
    browser.until("main > .notice", "nothing can be moved from here").await;
    let since =
        browser.run("return document.querySelector('main > .notice time').dataset.ms").await;
    let since: u64 = since.as_str().unwrap().parse().unwrap();
    assert!((alive..=dead).contains(&since), "{alive} to {dead}, not {since}");
    browser.screenshot("overview-unread-light-1280").await;
    for (page, heading) in [("/cells/c1", "Cell c1"), ("/regions/east", "Region East")] {
        browser.open(&url(platform, &format!("/console{page}"))).await;
        browser.until("h1", heading).await;
        browser.until("main > .notice", "etcd has not been read since").await;
    }
    browser.open(&url(platform, "/console")).await;
    let etcd = platform.etcd();
    browser.until("main:not(:has(> .notice)) h1", "Overview").await;
    etcd.kill().await;
}
