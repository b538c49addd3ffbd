//! The freeze: by the keyboard alone, and where it cannot be written down.

use runtime::Tasks;
use serde_json::Value;

use super::{ENTER, TAB, follow, signs_in_as};
use crate::browser::Browser;
use crate::forms::{get, sign_in, url};
use crate::platform::{LIMIT, OPERATOR, Platform, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn without_etcd_no_freeze_is_offered() {
    let platform = Platform::prepare();
    let etcd = platform.etcd();
    let mut tasks = Tasks::default();
    platform.agents(&mut tasks);
    platform.control_plane(&mut tasks, "north");
    let test = async {
        platform.until_known("north").await;
        let cookie = sign_in(&platform, TOKEN).await;
        let offered = get(&platform, "/console/freeze", &cookie).await;
        let page = String::from_utf8(offered.body.to_vec()).unwrap();
        assert!(page.contains("id=\"confirm\"") && !page.contains("role=\"alert\""), "{page}");
        etcd.kill().await;
        let refused = get(&platform, "/console/freeze", &cookie).await;
        let page = String::from_utf8(refused.body.to_vec()).unwrap();
        assert!(page.contains("role=\"alert\"") && page.contains("etcd does not answer"), "{page}");
        assert!(!page.contains("id=\"confirm\""), "{page}");
    };
    Box::pin(tasks.run(test, LIMIT)).await.unwrap();
}

/// An admin freezes everything, sees that nothing can be moved, and lifts it; an operator may not.
pub(super) async fn freezes_everything(browser: &Browser, platform: &Platform) {
    browser.open(&url(platform, "/console/operations")).await;
    follow(browser, "#freeze", "Freeze the platform").await;
    browser.until(".facts", "control planes move nothing by themselves").await;
    browser.until(".facts", "nobody: requests go on as they do").await;
    browser.until(".facts dt", "Operations that would wait").await;
    browser.screenshot("freeze-light-1280").await;
    assert_eq!(frozen(platform).await, false);
    // Whoever chooses a language comes back to the page of the lever.
    browser.click(".language").await;
    follow(browser, "#freeze", "冻结平台").await;
    browser.until(".facts", "控制面不会自动迁移任何单元").await;
    browser.look(390, true).await;
    browser.screenshot("freeze-chinese-dark-390").await;
    browser.look(1280, false).await;
    browser.click(".language").await;
    follow(browser, "#freeze", "Freeze the platform").await;

    // Nothing is done without a reason.
    browser.run("document.getElementById('reason').focus()").await;
    browser.press(ENTER).await;
    assert_eq!(browser.run("return location.pathname").await, "/console/freeze");
    browser.write("#reason", "we are looking").await;
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "for");
    browser.write("#for", "3600").await;
    confirm(browser).await;
    browser.until("h1", "Operations").await;
    browser.until(".notice", "The platform is frozen: nothing is moved. ada: we are looking").await;
    browser.until(".notice", "until").await;
    let end = "return document.querySelectorAll('.notice time')[1].dataset.ago.startsWith('in ')";
    assert_eq!(browser.run(end).await, true);
    browser.screenshot("operations-frozen-light-1280").await;
    assert_eq!(frozen(platform).await, true);
    browser.open(&url(platform, "/console/cells/c1/switchover?to=south")).await;
    browser.until(".notice.warn", "ada said so: we are looking").await;
    assert_eq!(browser.run("return document.querySelectorAll('#confirm').length").await, 0);

    browser.open(&url(platform, "/console/operations")).await;
    follow(browser, "#unfreeze", "Lift the freeze").await;
    browser.until(".notice", "ada: we are looking").await;
    browser.until(".facts dt", "Operations that would go on again").await;
    browser.screenshot("unfreeze-light-1280").await;
    browser.write("#reason", "we have seen").await;
    confirm(browser).await;
    browser.until("#freeze", "Freeze everything").await;
    assert_eq!(frozen(platform).await, false);
    browser.open(&url(platform, "/console/unfreeze")).await;
    browser.until("[role=alert]", "The platform is not frozen.").await;

    signs_in_as(browser, OPERATOR).await;
    browser.open(&url(platform, "/console/operations")).await;
    browser.until("main", "takes an admin's token").await;
    browser.open(&url(platform, "/console/freeze")).await;
    browser.until("[role=alert]", "takes an admin's token").await;
}

/// Goes from the last field to the button, and presses it.
async fn confirm(browser: &Browser) {
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "confirm");
    browser.press(ENTER).await;
}

async fn frozen(platform: &Platform) -> Value {
    platform.get("north", "/v1/freeze").await.unwrap()["frozen"].take()
}
