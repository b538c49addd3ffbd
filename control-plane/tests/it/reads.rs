use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::platform::{OPERATOR, Platform};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_is_not_sent_again_until_it_changes() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        for path in ["/v1/cells", "/v1/cells/c1", "/v1/snapshot", "/v1/regions", "/v1/alerts"] {
            let first = platform.ask("north", path, HeaderMap::new()).await;
            assert_eq!(first.status.as_u16(), 200, "{path}");
            let tag = first.headers["etag"].clone();
            let again = platform.ask("north", path, seen(&tag)).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}");
            assert_eq!(again.headers["etag"], tag, "{path}");
        }
        let before =
            platform.ask("north", "/v1/snapshot", HeaderMap::new()).await.headers["etag"].clone();
        let (status, _) = platform.switchover("north", r#"{"to":"south"}"#).await;
        assert_eq!(status, 200);
        let changed = platform.ask("north", "/v1/snapshot", seen(&before)).await;
        assert_eq!(changed.status.as_u16(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_grow_are_read_page_by_page() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        // Its steps are three events at least.
        let (status, _) = platform.switchover("north", r#"{"to":"south"}"#).await;
        assert_eq!(status, 200);
        for _ in 0..5 {
            let (status, _) = platform.switchover("north", r#"{"to":"south"}"#).await;
            assert_eq!(status, 409);
        }
        for path in ["/v1/audit", "/v1/events"] {
            let whole = ids(&platform.page("north", &format!("{path}?limit=1000")).await);
            assert!(whole.len() >= 3, "{path}: {whole:?}");
            assert!(whole.is_sorted_by(|one, other| one > other), "{path}: {whole:?}");
            let (mut pages, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = platform.page("north", &format!("{path}?limit=2{cursor}")).await;
                pages.extend(ids(&page));
                let Some(next) = page["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(pages, whole, "{path}");
        }
        for path in ["/v1/audit?cursor=", "/v1/events?cursor=x", "/v1/audit?limit=0"] {
            let problem = platform.page("north", path).await;
            assert_eq!(problem["code"], "validation-error", "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_and_its_end_are_looked_at_before_they_are_said() {
    let homes = ["east", "east"];
    let test = async |platform: &Platform| {
        platform.until_active("north", &homes).await;
        // Whichever cell is moved first, the move of the other has yet to begin.
        for site in ["c1@east", "c2@east"] {
            platform.agent_at(site).told(|east| east.is_slow_to_prepare = true);
        }
        let (status, begun) = platform.post("north", "/v1/regions/east/evacuate", "{}").await;
        assert_eq!(status, 202, "{begun}");
        let id = begun["id"].as_str().unwrap();
        let put = async |path, body| platform.write_with("north", "PUT", path, body, &[]).await;
        let (freeze, look) = ("/v1/freeze", "/v1/freeze?dry_run=true");

        let nobody = json!({ "cells": [], "slots": 0, "of_slots": 16384 });
        let (status, ahead) = put(look, r#"{"frozen": true}"#).await;
        let would = json!([["freeze everything", format!("hold up {id}, to evacuate east")]]);
        assert_eq!((status, &ahead["waves"]), (200, &would), "{ahead}");
        let waits = json!({ "holds": false, "lost": [], "operations": [id] });
        assert_eq!((&ahead["freeze"], &ahead["blast_radius"]), (&waits, &nobody), "{ahead}");
        assert_eq!(platform.page("north", freeze).await["frozen"], false);

        let (status, refused) = put(freeze, r#"{"frozen": true}"#).await;
        assert_eq!(
            (status, &refused["errors"][0]["pointer"]),
            (400, &json!("/reason")),
            "{refused}"
        );
        let (status, said) = put(freeze, r#"{"frozen": true, "reason": "we are looking"}"#).await;
        assert_eq!((status, &said["frozen"]), (200, &json!(true)), "{said}");

        let (status, ahead) = put(look, r#"{"frozen": false}"#).await;
        let would = json!([["lift the freeze", format!("go on with {id}, to evacuate east")]]);
        assert_eq!((status, &ahead["waves"]), (200, &would), "{ahead}");
        let goes_on = json!({ "holds": true, "lost": [], "operations": [id] });
        assert_eq!((&ahead["freeze"], &ahead["blast_radius"]), (&goes_on, &nobody), "{ahead}");
        for site in ["c1@east", "c2@east"] {
            platform.agent_at(site).told(|east| east.is_slow_to_prepare = false);
        }
    };
    Platform::prepare_cells(&homes).start(&["north"], test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_looked_at_before_it_is_done() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| east.is_slow_to_prepare = true);
        let (status, begun) = platform.post("north", "/v1/regions/east/evacuate", "{}").await;
        assert_eq!(status, 202, "{begun}");
        let id = begun["id"].as_str().unwrap();
        let path = format!("/v1/operations/{id}");
        let drained = platform.until(async || {
            let operation = platform.page("north", &path).await;
            operation["waves"][0][0]["state"] == "done"
        });
        assert!(drained.await, "the region is not drained");

        let cancel = format!("{path}/cancel");
        let look = format!("{cancel}?dry_run=true");
        let (status, ahead) = platform.post("north", &look, "{}").await;
        let said = ahead["waves"][0].to_string();
        assert!(status == 200 && said.contains("\"take back: drain east\""), "{ahead}");
        let operation = platform.page("north", &path).await;
        assert_eq!(operation["cancelled_by"], Value::Null, "{operation}");

        platform.agent("east").told(|east| east.is_slow_to_prepare = false);
        let (status, cancelled) = platform.post("north", &cancel, "{}").await;
        assert_eq!(status, 200, "{cancelled}");
        let ended = platform.until(async || {
            platform.post("north", &look, "{}").await.1["code"] == "operation-ended"
        });
        assert!(ended.await, "what cannot be cancelled is not refused when it is looked at");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_and_a_caller_that_asks_too_often_are_refused() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let long = " ".repeat(70_000);
        let (status, problem) = platform.switchover("north", &long).await;
        assert_eq!((status, &problem["code"]), (413, &json!("payload-too-large")));
        let malformed = platform.ask_as("north", "/v1/cells", "Basic YTpi").await;
        assert_eq!((malformed.0, &malformed.1["code"]), (401, &json!("token-malformed")));

        let bearer = format!("Bearer {OPERATOR}");
        let ask = || platform.ask_as("north", "/v1/cells/c9", &bearer);
        let refused = async {
            loop {
                let answers = futures_util::future::join_all((0..50).map(|_| ask())).await;
                if let Some(refused) = answers.into_iter().find(|(status, _)| *status == 429) {
                    return refused;
                }
            }
        };
        let (_, problem) = tokio::time::timeout(crate::platform::LIMIT, refused).await.unwrap();
        assert_eq!(problem["code"], "too-many-requests");
        let other = platform.ask("north", "/v1/cells/c1", HeaderMap::new()).await;
        assert_eq!(other.status.as_u16(), 200, "another caller is not concerned");
    })
    .await;
}

fn seen(tag: &HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(axum::http::header::IF_NONE_MATCH, tag.clone())])
}

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap().iter();
    data.map(|entry| entry["id"].to_string()).collect()
}
