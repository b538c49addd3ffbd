//! A site that is kept out and let in again, and a region that is evacuated and restored.

use super::{ENTER, TAB, follow, theme};
use crate::browser::Browser;
use crate::forms::url;
use crate::platform::Platform;

/// By the keyboard alone, and in again.
pub(super) async fn keeps_a_site_out(browser: &Browser, platform: &Platform) {
    platform.until_known("north").await;
    for (lever, said, then) in [
        ("retire-south", "Keep c1@south out", "kept out"),
        ("add-south", "Let c1@south in again", "standby"),
    ] {
        browser.open(&url(platform, "/console/cells/c1")).await;
        browser.until(&format!("#{lever}"), "South").await;
        follow(browser, &format!("#{lever}"), said).await;
        browser.screenshot(&format!("{lever}-light-1280")).await;
        browser.run("document.getElementById('confirm').focus()").await;
        browser.press(ENTER).await;
        browser.until(".operation h2", said).await;
        browser.until(".operation:first-of-type .state", "done").await;
        browser.open(&url(platform, "/console/cells/c1")).await;
        browser.until("#site-south .mark", then).await;
    }
}

/// By the keyboard alone: an operation that waits for its cell is taken back.
pub(super) async fn takes_it_back(browser: &Browser, platform: &Platform) {
    platform.until_known("north").await;
    platform.agent("east").told(|east| east.holds_its_voters = true);
    browser.open(&url(platform, "/console/cells/c1")).await;
    follow(browser, "#retire-south", "Keep c1@south out").await;
    browser.run("document.getElementById('confirm').focus()").await;
    browser.press(ENTER).await;
    browser.until("h1", "Operations").await;
    browser.until(".operation:first-of-type .second", "Cancel this operation").await;
    browser.run("document.querySelector('.operation .second').focus()").await;
    browser.press(ENTER).await;
    browser.until(".operation:first-of-type .state", "cancelled").await;
    browser.until(".operation:first-of-type .sub", "cancelled by otto").await;
    assert_eq!(browser.run("return document.querySelectorAll('.second').length").await, 0);
    platform.agent("east").told(|east| east.holds_its_voters = false);
    let cell = platform.cell().await.unwrap();
    assert!(cell.activation.retired.is_empty(), "it is still kept out");
}

/// By the keyboard alone; at first it is looked at, and left.
pub(super) async fn evacuates_a_region(browser: &Browser, platform: &Platform) {
    platform.until_known("north").await;
    browser.open(&url(platform, "/console/regions/east")).await;
    browser.until("h1", "Region East").await;
    follow(browser, "#evacuate", "Evacuate East").await;
    let before = platform.get("north", "/v1/operations").await;
    follow(browser, ".buttons a", "Region East").await;
    assert_eq!(platform.get("north", "/v1/operations").await, before);
    follow(browser, "#evacuate", "Evacuate East").await;
    browser.until("tbody tr", "c1").await;
    browser.write("#reason", "power works in the east").await;
    for (width, dark) in [(390, true), (1280, false)] {
        browser.look(width, dark).await;
        browser.screenshot(&format!("evacuate-{}-{width}", theme(dark))).await;
    }
    for next in ["pause", "confirm"] {
        browser.press(TAB).await;
        assert_eq!(browser.run("return document.activeElement.id").await, next);
    }
    browser.press(ENTER).await;
    browser.until("h1", "Operations").await;
    browser.until(".operation:first-of-type .state", "done").await;
    browser.until(".operation", "power works in the east").await;
    let active = platform.cell().await.unwrap().activation.serving().cloned();
    assert_ne!(active.unwrap().as_str(), "east");
    browser.screenshot("operations-light-1280").await;
    browser.open(&url(platform, "/console")).await;
    browser.until(".attention", "The region is drained").await;

    // Nothing can be confirmed before the region's site stands by again.
    platform.until_known("north").await;
    browser.open(&url(platform, "/console/regions/east/restore")).await;
    browser.until("h1", "Restore East").await;
    browser.click("#confirm").await;
    browser.until(".operation h2", "Restore East").await;
    platform.until_serving("east").await;
    platform.until_known("north").await;
}
