//! A cell that takes over by itself, one that is moved, and one that cannot take over by itself.

use super::{ENTER, SPACE, TAB, signs_in_as, theme};
use crate::browser::Browser;
use crate::forms::url;
use crate::platform::{Platform, TOKEN};

pub(super) async fn watches_a_failover(browser: &Browser, platform: &Platform) {
    // Neither is there any more once the page has been loaded again, or its row replaced.
    browser.run("window.same = true; document.querySelector('#cell-c1 a').focus()").await;
    platform.agent("south").told(|south| south.lsn = 1200);
    platform.agent("east").told(|east| east.dead = true);
    browser.until("#cell-c1 td.good", "active").await;
    browser.until("#cell-c1 th", "epoch 3").await;
    browser.until("#cell-c1 td.bad", "no answer").await;
    browser.until(".attention .bad", "does not answer").await;
    browser.until("#said", "c1 is active in South").await;
    assert_eq!(browser.run("return window.same").await, true);
    let focused = "return document.activeElement.closest('tr')?.id";
    assert_eq!(browser.run(focused).await, "cell-c1");
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        browser.look(width, dark).await;
        browser.screenshot(&format!("overview-failover-{}-{width}", theme(dark))).await;
    }
    browser.look(1280, false).await;
}

pub(super) async fn moves_it_back(browser: &Browser, platform: &Platform) {
    platform.agent("east").told(|east| east.dead = false);
    platform.agent("east").told(|east| east.lsn = 1200);
    browser.click("#cell-c1 a").await;
    browser.until("h1", "Cell c1").await;
    browser.until("#site-east .mark", "standby").await;
    platform.until_known("north").await;
    browser.click("#move-east").await;
    browser.until("h1", "Move c1 to East").await;
    browser.until(".facts", "100.0 % of all users (16,384 slots)").await;
    browser.screenshot("switchover-light-1280").await;
    browser.click("#confirm").await;
    browser.until("#site-east .mark", "active").await;
    browser.until(".events", "c1 is active in East").await;
    platform.until_serving("east").await;
    for (width, dark) in [(1280, true), (390, false)] {
        browser.look(width, dark).await;
        browser.screenshot(&format!("cell-{}-{width}", theme(dark))).await;
    }
    browser.look(1280, false).await;
    browser.open(&url(platform, "/console/audit")).await;
    browser.until("tbody tr", "otto").await;
    browser.until("tbody tr", "switchover").await;
    browser.screenshot("audit-light-1280").await;
    browser.open(&url(platform, "/console/vantages")).await;
    browser.until("tbody tr th", "c1").await;
    browser.until("tbody td .mark", "healthy").await;
    browser.screenshot("vantages-light-1280").await;
    browser.open(&url(platform, "/console/regions/south")).await;
    browser.until("h1", "Region South").await;
    browser.screenshot("region-light-1280").await;
}

/// The active site and a voter are gone: an operator sees what that means, and an admin accepts it, by the
/// keyboard alone.
pub(super) async fn fails_over_what_cannot_by_itself(browser: &Browser, platform: &Platform) {
    for region in ["east", "south"] {
        platform.agent(region).told(|agent| agent.dead = true);
    }
    browser.open(&url(platform, "/console/cells/c1")).await;
    browser.until("h1 + .state", "frozen").await;
    browser.click("#failover").await;
    browser.until("h1", "Fail c1 over").await;
    browser.until(".facts .bad", "only 1 of the 2 votes needed answer").await;
    browser.until(".facts .bad", "What only South, East may have is given up.").await;
    browser.until(".notice", "takes an admin's token").await;
    assert_eq!(browser.run("return document.querySelectorAll('#confirm').length").await, 0);

    signs_in_as(browser, TOKEN).await;
    browser.open(&url(platform, "/console/cells/c1")).await;
    browser.until("#failover", "Fail over").await;
    browser.run("document.getElementById('failover').focus()").await;
    browser.press(ENTER).await;
    browser.until("h1", "Fail c1 over").await;
    browser.screenshot("failover-light-1280").await;
    // Whoever chooses a language comes back to the cell's page.
    browser.click(".language").await;
    browser.click("#failover").await;
    browser.until(".facts .bad", "可能丢失已确认的强一致写入").await;
    browser.look(390, true).await;
    browser.screenshot("failover-chinese-dark-390").await;
    browser.look(1280, false).await;
    browser.click(".language").await;
    browser.click("#failover").await;
    browser.until("h1", "Fail c1 over").await;

    // Nothing is done before both are there: the reason, and the tick.
    browser.run("document.getElementById('reason').focus()").await;
    browser.press(ENTER).await;
    browser.write("#reason", "east and south have burnt down").await;
    browser.press(ENTER).await;
    assert_eq!(browser.run("return location.pathname").await, "/console/cells/c1/failover");
    // The browser has led on to what is missing.
    assert_eq!(browser.run("return document.activeElement.id").await, "accept");
    browser.press(SPACE).await;
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "confirm");
    browser.press(ENTER).await;
    browser.until("h1", "Cell c1").await;
    browser.until("#site-north .mark", "active").await;
    browser.click("#last-operation").await;
    browser.until(".operation:first-of-type h2", "Fail c1 over").await;
    browser.until(".operation:first-of-type", "east and south have burnt down").await;

    for region in ["east", "south"] {
        platform.agent(region).told(|agent| agent.dead = false);
    }
    platform.until_known("north").await;
    let (status, moved) = platform.switchover("north", r#"{"to": "east"}"#).await;
    assert_eq!(status, 200, "{moved}");
    platform.until_serving("east").await;
}
