use axum::http::HeaderMap;
use serde_json::{Value, json};
use topology::wire::drill::DrillRecord;
use topology::wire::key;

use crate::platform::Platform;

/// A moment that is more than eight days ago whenever this runs.
const LONG_AGO: u64 = 1_700_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_drills_are_listed_page_by_page_and_missed_when_none_passes() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let none = json!({ "data": [], "next": null });
        let known = platform.until(async || {
            platform.get("north", "/v1/drills").await.is_some_and(|listed| listed == none)
        });
        assert!(known.await, "the absence of runs is not known");
        let alerts = platform.get("north", "/v1/alerts").await.unwrap();
        assert!(!alerts.to_string().contains("no-passing-drill"), "{alerts}");

        write(platform, 5).await;
        let listed = platform.until(async || ids(platform, "").await.0.len() == 5);
        assert!(listed.await, "the runs are not listed");
        let (whole, _) = ids(platform, "").await;
        assert!(whole.is_sorted_by(|one, other| one > other), "{whole:?}");
        let (first, next) = ids(platform, "?limit=3").await;
        let (second, end) = ids(platform, &format!("?limit=3&cursor={}", next.unwrap())).await;
        assert_eq!(([first, second].concat(), end), (whole.clone(), None));

        let one =
            platform.ask("north", &format!("/v1/drills/{}", whole[0]), HeaderMap::new()).await;
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        assert_eq!((&body["drill"], &body["recover_99_ms"]), (&json!("region-loss"), &json!(2400)));
        let seen =
            HeaderMap::from_iter([("if-none-match".parse().unwrap(), one.headers["etag"].clone())]);
        let again = platform.ask("north", &format!("/v1/drills/{}", whole[0]), seen).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
        let missing = platform.page("north", "/v1/drills/1795000000000-no-such").await;
        assert_eq!(missing["code"], "unknown-drill");

        let alerts = platform.get("north", "/v1/alerts").await.unwrap();
        let alerts = alerts["data"].as_array().unwrap();
        let alert = alerts.iter().find(|alert| alert["name"] == "no-passing-drill").unwrap();
        assert_eq!(alert["detail"], "no drill has passed since 2023-11-14 22:18:20Z");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_lever_is_told_until_it_is_released() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let told = async |expected: &Value| {
            platform
                .until(async || {
                    let listed = platform.get("north", "/v1/drills").await;
                    listed.is_some_and(|listed| listed["lever"] == *expected)
                })
                .await
        };
        for (stored, expected) in [
            (
                r#"{"pulled":true,"reason":"an incident","who":"ada@edge","since_unix_ms":7}"#,
                json!({ "reason": "an incident", "who": "ada@edge", "since_unix_ms": 7 }),
            ),
            (
                "perhaps",
                json!({ "reason":
                    "what is stored of the lever is not understood: expected value at line 1 column 1" }),
            ),
            (r#"{"pulled":false,"reason":"","since_unix_ms":8}"#, Value::Null),
        ] {
            platform.client.put(key::LEVER, stored).await.unwrap();
            assert!(told(&expected).await, "{stored} is not told");
        }
        // Nothing is run by schedule here.
        let listed = platform.get("north", "/v1/drills").await.unwrap();
        assert_eq!(listed["schedule"], Value::Null);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_of_the_suite_that_never_passed_is_missed_though_another_did() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let now = runtime::clock::unix_millis();
        let passed: DrillRecord = serde_json::from_value(json!({
            "run": "region-loss-1", "drill": "region-loss", "title": "", "environment": "local-1",
            "seed": 1, "begun_unix_ms": now - 60_000, "ended_unix_ms": now, "verdict": "pass",
            "exit_code": 0, "reasons": [], "held": 0,
        }))
        .unwrap();
        let expected = |drill: &str| {
            json!({ "drill": drill, "within_ms": 691_200_000, "first_due_unix_ms": LONG_AGO })
        };
        let plan = json!({
            "suite": "weekly", "title": "", "written_unix_ms": now, "running": null, "held": null,
            "next": [], "last": [], "expected": [expected("region-loss"), expected("cell-loss")],
        });
        // As long as it is written again and again it is held; the test needs it for a moment.
        for (key, value) in [
            (passed.key().as_str(), serde_json::to_vec(&passed).unwrap()),
            (key::SUITE_PLAN, plan.to_string().into_bytes()),
            (key::SUITE_EXECUTOR, br#"{"region":"east","sequence":1}"#.to_vec()),
        ] {
            platform.client.put(key, value).await.unwrap();
        }
        let told = platform.until(async || {
            let alerts = platform.get("north", "/v1/alerts").await.unwrap();
            let mut alerts = alerts["data"].as_array().unwrap().iter();
            alerts.any(|alert| {
                alert["name"] == "no-passing-drill"
                    && alert["detail"] == "not passed: cell-loss as far as is known"
                    && alert["way_out"] == "chaos run cell-loss"
            })
        });
        assert!(told.await, "cell-loss is not missed");
    })
    .await;
}

/// Writes runs of long ago, as `chaos run` does: the two in the middle have failed.
pub(crate) async fn write(platform: &Platform, count: u64) {
    for number in 0..count {
        let has_failed = number == count / 2 || number == count / 2 - 1;
        let begun = LONG_AGO + number * 60_000;
        let mut run = json!({
            "run": format!("region-loss-{begun}"), "drill": "region-loss",
            "title": "Everything in one region is killed at once", "environment": "local-1",
            "seed": 1, "begun_unix_ms": begun, "ended_unix_ms": begun + 60_000, "verdict": "pass",
            "exit_code": 0, "reasons": [], "recover_99_ms": 2000 + number % 7 * 100,
            "detect_ms": 1100, "redundancy_restored_ms": 9300, "strong_lost": 0, "weak_lost": 0,
            "failed": 0, "held": 41,
        });
        if has_failed {
            run["verdict"] = "fail".into();
            run["exit_code"] = 1.into();
            run["strong_lost"] = 1.into();
            run["reasons"] = json!(["acked-strong-lost is 1, the limit is 0"]);
            run["recover_99_ms"] = "never".into();
        }
        let record: DrillRecord = serde_json::from_value(run).unwrap();
        let value = serde_json::to_vec(&record).unwrap();
        platform.client.put(&record.key(), value).await.unwrap();
    }
}

async fn ids(platform: &Platform, query: &str) -> (Vec<String>, Option<String>) {
    let page = platform.page("north", &format!("/v1/drills{query}")).await;
    let data = page["data"].as_array().unwrap().iter();
    let ids = data.map(|run| run["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next"].as_str().map(str::to_owned))
}
