//! The console as people use it: in a browser, and as somebody who would misuse it.

mod of_routers;
mod pages;
mod platform_levers;

use runtime::{Tasks, clock};

use crate::browser::Browser;
use crate::drills;
use crate::etcd::Etcd;
use crate::forms::{field, form, get, sign_in, token, url};
use crate::platform::{LIMIT, OPERATOR, Platform, TOKEN, VIEWER};

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
            watches_a_failover(browser, platform).await;
            moves_it_back(browser, platform).await;
            fails_over_what_cannot_by_itself(browser, platform).await;
            platform_levers::freezes_everything(browser, platform).await;
            keeps_a_site_out(browser, platform).await;
            takes_it_back(browser, platform).await;
            evacuates_a_region(browser, platform).await;
            reads_of_drills(browser, platform).await;
            pages::reads_every_page_in_both_languages(browser, platform).await;
            may_only_look(browser, platform).await;
            is_told_what_is_old(browser, platform).await;
            is_told_since_when_etcd_is_away(browser, platform, etcd).await;
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

async fn watches_a_failover(browser: &Browser, platform: &Platform) {
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

async fn moves_it_back(browser: &Browser, platform: &Platform) {
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
async fn fails_over_what_cannot_by_itself(browser: &Browser, platform: &Platform) {
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

/// By the keyboard alone, and in again.
async fn keeps_a_site_out(browser: &Browser, platform: &Platform) {
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
async fn takes_it_back(browser: &Browser, platform: &Platform) {
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
async fn evacuates_a_region(browser: &Browser, platform: &Platform) {
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

/// The control plane in another region ends under its page, and comes back.
async fn is_told_what_is_old(browser: &Browser, platform: &Platform) {
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
async fn is_told_since_when_etcd_is_away(browser: &Browser, platform: &Platform, etcd: Etcd) {
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

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_somebody_who_is_signed_in() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let own = url(platform, "");
        let signed_in = form(platform, "/console/sign-in", &own, "", &token(OPERATOR)).await;
        assert_eq!(signed_in.status, 303);
        let cookie = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();

        // A proxy in front has TLS.
        let with_tls = own.replace("http://", "https://");
        let signed_in = form(platform, "/console/sign-in", &with_tls, "", &token(OPERATOR)).await;
        let secure = signed_in.headers["set-cookie"].to_str().unwrap();
        assert!(secure.ends_with("; SameSite=Strict; Secure"), "{secure}");

        let page = get(platform, "/console/cells/c1/switchover?to=south", cookie).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let (form_token, etag) = (field(&text, "form_token"), field(&text, "etag"));

        let path = "/console/cells/c1/switchover";
        let body = |form_token: &str, etag: &str| {
            // A key of its own for each plan: a key that was used is answered as it was.
            let epoch = etag.trim_matches('"');
            format!("to=south&key=plan-{epoch}&etag=%22{epoch}%22&form_token={form_token}")
        };
        let genuine = body(&form_token, &etag);
        for (origin, cookie, body, expected) in [
            // Another site's page; none that says where it is from; no session; another's form; and a
            // plan for an epoch that is over.
            ("https://evil.example", cookie, &genuine, 403),
            ("", cookie, &genuine, 403),
            (&own, "", &genuine, 303),
            (&own, cookie, &body("0000", &etag), 403),
            (&own, cookie, &body(&form_token, "\"7\""), 412),
        ] {
            let answer = form(platform, path, origin, cookie, body).await;
            assert_eq!(answer.status, expected, "{origin} {cookie} {body}");
        }
        let stored = platform.cell().await.unwrap();
        assert_eq!(stored.activation.to_string(), "epoch 1, steady in east");

        let moved = form(platform, path, &own, cookie, &genuine).await;
        assert_eq!(moved.headers["location"], "/console/cells/c1");
        platform.until_cell_is("epoch 3, steady in south").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_not_guessed_at_will() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let own = url(platform, "");
        let mut answers = Vec::new();
        for _ in 0..12 {
            let answer = form(platform, "/console/sign-in", &own, "", &token("wrong")).await;
            answers.push(answer.status.as_u16());
        }
        assert_eq!(answers[..10], [403; 10]);
        assert_eq!(answers.last(), Some(&429));
        let right = form(platform, "/console/sign-in", &own, "", &token(OPERATOR)).await;
        assert_eq!(right.status, 429);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let cookie = sign_in(platform, VIEWER).await;
        assert_eq!(get(platform, "/console", &cookie).await.status, 200);
        platform.write_callers(&format!("otto operator {}\n", "0".repeat(64)));
        let ended = platform.until(async || get(platform, "/console", &cookie).await.status == 303);
        assert!(ended.await, "the session goes on without its token");
    })
    .await;
}

fn theme(dark: bool) -> &'static str {
    if dark { "dark" } else { "light" }
}
