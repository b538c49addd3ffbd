//! The console as people use it: a story in a browser, its chapters one file each; and as somebody who
//! would misuse it.

mod freeze;
mod misuse;
mod moves;
mod of_routers;
mod old;
mod pages;
mod site_and_region;

use runtime::Tasks;

use crate::browser::Browser;
use crate::drills;
use crate::forms::url;
use crate::platform::{LIMIT, OPERATOR, Platform, VIEWER};

/// `WebDriver`'s names of the keys.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SPACE: &str = " ";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_watches_a_failover_and_moves_the_cell_back_and_a_viewer_only_looks() {
    let platform = Platform::prepare();
    let etcd = platform.etcd();
    let mut tasks = Tasks::default();
    platform.agents(&mut tasks);
    platform.control_plane(&mut tasks, "north");
    let story = async {
        let platform = &platform;
        platform.until_known("north").await;
        Browser::run_in(platform.folder(), async |browser| {
            signs_in(browser, platform).await;
            of_routers::sees_what_users_get(browser, platform).await;
            moves::watches_a_failover(browser, platform).await;
            moves::moves_it_back(browser, platform).await;
            moves::fails_over_what_cannot_by_itself(browser, platform).await;
            freeze::freezes_everything(browser, platform).await;
            site_and_region::keeps_a_site_out(browser, platform).await;
            site_and_region::takes_it_back(browser, platform).await;
            site_and_region::evacuates_a_region(browser, platform).await;
            reads_of_drills(browser, platform).await;
            pages::reads_every_page_in_both_languages(browser, platform).await;
            may_only_look(browser, platform).await;
            old::is_told_what_is_old(browser, platform).await;
            old::is_told_since_when_etcd_is_away(browser, platform, etcd).await;
        })
        .await;
    };
    Box::pin(tasks.run(story, LIMIT)).await.unwrap();
}

async fn signs_in(browser: &Browser, platform: &Platform) {
    browser.look(1280, false).await;
    browser.open(&url(platform, "/")).await;
    browser.until("h1", "Sign in").await;
    browser.write("#token", "not-a-token").await;
    browser.click("button.main").await;
    browser.until("[role=alert]", "This token is not known here.").await;
    browser.screenshot("sign-in-light-1280").await;
    browser.write("#token", OPERATOR).await;
    browser.click("button.main").await;
    browser.until("h1", "Overview").await;
    browser.until("#live", "Live").await;
    browser.until("#cell-c1", "active").await;
    browser.until("section", "Nothing needs attention.").await;
    browser.screenshot("overview-quiet-light-1280").await;
    // The first stop of the keyboard leads past the navigation.
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.className").await, "skip");
}

/// Follows a link by the keyboard alone.
async fn follow(browser: &Browser, selector: &str, heading: &str) {
    browser.until(selector, "").await;
    browser.run(&format!("document.querySelector('{selector}').focus()")).await;
    browser.press(ENTER).await;
    browser.until("h1", heading).await;
}

async fn signs_in_as(browser: &Browser, token: &str) {
    browser.click(".tools button").await;
    browser.until("h1", "Sign in").await;
    browser.write("#token", token).await;
    browser.click("button.main").await;
    browser.until("h1", "Overview").await;
}

async fn reads_of_drills(browser: &Browser, platform: &Platform) {
    browser.open(&url(platform, "/console/drills")).await;
    browser.until("main", "No drill has been run here yet.").await;
    drills::write(platform, 12).await;
    browser.until("section:first-of-type td", "10 of 12 passed").await;
    let bars = |class: &str| format!("return document.querySelectorAll('.trend .{class}').length");
    assert_eq!(browser.run(&bars("pass")).await, 10);
    assert_eq!(browser.run(&bars("other")).await, 2);
    browser.until("section:last-of-type tr", "acked-strong-lost is 1").await;
    for (width, dark) in [(1280, false), (1280, true), (390, true)] {
        browser.look(width, dark).await;
        browser.screenshot(&format!("drills-{}-{width}", theme(dark))).await;
    }
    browser.look(1280, false).await;
}

async fn may_only_look(browser: &Browser, platform: &Platform) {
    signs_in_as(browser, VIEWER).await;
    browser.open(&url(platform, "/console/cells/c1/failover")).await;
    browser.until("[role=alert]", "Your token may look, and change nothing.").await;
    browser.open(&url(platform, "/console/cells/c1")).await;
    browser.until("main", "Your token may look, and change nothing.").await;
    assert_eq!(browser.run("return document.querySelectorAll('.lever').length").await, 0);
    browser.open(&url(platform, "/console/freeze")).await;
    browser.until("[role=alert]", "Your token may look, and change nothing.").await;
    browser.open(&url(platform, "/console/operations")).await;
    browser.until("h1", "Operations").await;
    assert_eq!(browser.run("return document.querySelectorAll('.lever').length").await, 0);
    let before = platform.cell().await;
    for lever in ["cells/c1/switchover", "cells/c1/failover", "freeze"] {
        let forged = format!(
            "
            const form_token = document.querySelector('[name=form_token]').value;
            const reason = 'for fun';
            const asked = {{ to: 'south', etag: '*', key: 'once', reason, form_token }};
            const body = new URLSearchParams(asked);
            return fetch('/console/{lever}', {{ method: 'POST', body }})
                .then(answer => answer.status)"
        );
        assert_eq!(browser.run(&forged).await, 403, "{lever}");
    }
    assert_eq!(platform.cell().await, before);
    assert_eq!(platform.get("north", "/v1/freeze").await.unwrap()["frozen"], false);
}

fn theme(dark: bool) -> &'static str {
    if dark { "dark" } else { "light" }
}
