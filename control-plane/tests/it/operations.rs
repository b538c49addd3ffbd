//! Emptying a region and letting its cells back in: waves, cancelling, rules, and executors that die.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use topology::address::Port;
use topology::wire::audit::AuditRecord;
use topology::wire::key;

use crate::platform::{Platform, REGIONS};

/// Two cells at home in east, so that there are two waves.
const HOMES: [&str; 3] = ["east", "east", "north"];
pub(crate) const EVACUATE: &str = "/v1/regions/east/evacuate";
pub(crate) const RESTORE: &str = "/v1/regions/east/restore";
pub(crate) const DRAIN: &str = "/v1/regions/east/drain";
pub(crate) const UNDRAIN: &str = "/v1/regions/east/undrain";

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_emptied_in_waves_and_its_cells_come_home() {
    platform()
        .start(&REGIONS, async |platform| {
            for region in REGIONS {
                platform.until_active(region, &HOMES).await;
            }
            let body = r#"{"reason": "work on the power supply"}"#;
            let (status, begun) = platform.post("north", EVACUATE, body).await;
            assert_eq!((status, &begun["status"]), (202, &json!("running")), "{begun}");
            let ended = until_ended(platform, "south", &begun).await;
            assert_eq!(ended["status"], "done", "{ended}");
            assert_eq!(steps(&ended), ["drain east", "move c1 south", "move c2 north"]);
            platform.until_active("south", &["south", "north", "north"]).await;
            let (status, refused) =
                platform.post("south", "/v1/cells/c1/switchover", r#"{"to": "east"}"#).await;
            assert_eq!((status, &refused["code"]), (409, &json!("region-drained")), "{refused}");
            let (status, refused) = platform.post("east", "/v1/regions/north/evacuate", "{}").await;
            assert_eq!((status, &refused["code"]), (409, &json!("second-region")), "{refused}");

            let (status, unknown) = platform.post("south", "/v1/regions/west/restore", "{}").await;
            assert_eq!((status, &unknown["code"]), (404, &json!("unknown-region")));
            let (status, unknown) =
                platform.post("south", "/v1/operations/op-9/cancel", "{}").await;
            assert_eq!((status, &unknown["code"]), (404, &json!("unknown-operation")));

            let (status, begun) = platform.post("south", RESTORE, "{}").await;
            assert_eq!(status, 202, "{begun}");
            let ended = until_ended(platform, "north", &begun).await;
            assert_eq!(ended["status"], "done", "{ended}");
            platform.until_active("north", &HOMES).await;
            let all = platform.get("east", "/v1/operations").await.unwrap();
            let ids: Vec<&Value> =
                all["data"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
            assert_eq!(ids, ["op-000002", "op-000001"]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_at_changes_nothing_and_what_has_changed_since_is_refused() {
    platform()
        .start(&REGIONS, async |platform| {
            for region in REGIONS {
                platform.until_active(region, &HOMES).await;
            }
            let (status, ahead) =
                platform.post("north", &format!("{EVACUATE}?dry_run=true"), "{}").await;
            assert_eq!((status, &ahead["allowed"]), (200, &json!(true)), "{ahead}");
            let waves = json!([
                ["drain east"],
                ["move c1 from east to south"],
                ["move c2 from east to north"]
            ]);
            assert_eq!(ahead["waves"], waves);
            assert_eq!(ahead["blast_radius"]["cells"], json!(["c1", "c2"]));
            assert_eq!(ahead["headroom"]["south"]["weight_after"], 1);
            let all = platform.get("south", "/v1/operations").await.unwrap();
            assert_eq!(all["data"], json!([]));

            let (status, switched) =
                platform.post("south", "/v1/cells/c1/switchover", r#"{"to": "south"}"#).await;
            assert_eq!(status, 200, "{switched}");
            platform.until_active("north", &["south", "east", "north"]).await;
            let etag = ahead["etag"].as_str().unwrap();
            let (status, stale) =
                platform.write_with("north", "POST", EVACUATE, "{}", &[("if-match", etag)]).await;
            assert_eq!((status, &stale["code"]), (412, &json!("stale")), "{stale}");
            let now = stale["etag"].as_str().unwrap().to_owned();
            let (status, begun) =
                platform.write_with("north", "POST", EVACUATE, "{}", &[("if-match", &now)]).await;
            assert_eq!(status, 202, "{begun}");
            until_ended(platform, "south", &begun).await;
            let path = "/v1/cells/c3/switchover";
            let south = r#"{"to": "south"}"#;
            let (status, stale) =
                platform.write_with("north", "POST", path, south, &[("if-match", "\"9\"")]).await;
            assert_eq!((status, &stale["etag"]), (412, &json!("\"1\"")), "{stale}");
            let path = format!("{path}?dry_run=true");
            let (status, ahead) = platform.post("south", &path, south).await;
            assert_eq!((status, &ahead["etag"]), (200, &json!("\"1\"")), "{ahead}");
            assert_eq!(ahead["expected"]["moves"], 2, "{ahead}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_region_is_no_target_and_keeps_its_cells() {
    platform()
        .start(&["north", "south"], async |platform| {
            for region in ["north", "south"] {
                platform.until_active(region, &HOMES).await;
            }
            let (status, ahead) =
                platform.post("north", &format!("{DRAIN}?dry_run=true"), "{}").await;
            assert_eq!((status, &ahead["allowed"]), (200, &json!(true)), "{ahead}");
            let planned = (&ahead["waves"], &ahead["moves"]);
            assert_eq!(planned, (&json!([["drain east"]]), &json!([])), "{ahead}");
            let (status, stale) = platform
                .write_with("north", "POST", DRAIN, "{}", &[("if-match", "\"another\"")])
                .await;
            assert_eq!((status, &stale["etag"]), (412, &ahead["etag"]), "{stale}");

            let etag = ahead["etag"].as_str().unwrap();
            let headers = [("if-match", etag), ("idempotency-key", "a-flaky-switch")];
            let body = r#"{"reason": "a flaky switch"}"#;
            let begun = platform.write_with("north", "POST", DRAIN, body, &headers).await;
            assert_eq!((begun.0, &begun.1["kind"]), (202, &json!("drain")), "{}", begun.1);
            let ended = until_ended(platform, "south", &begun.1).await;
            assert_eq!(
                (steps(&ended), &ended["status"]),
                (vec!["drain east".to_owned()], &json!("done"))
            );
            let again = platform.write_with("south", "POST", DRAIN, body, &headers).await;
            assert_eq!((again.0, &again.1["id"]), (202, &begun.1["id"]), "{}", again.1);
            platform.until_active("south", &HOMES).await;

            let (switchover, east) = ("/v1/cells/c3/switchover", r#"{"to": "east"}"#);
            for (path, body, code) in [
                (switchover, east, "region-drained"),
                ("/v1/regions/north/drain", "{}", "second-region"),
            ] {
                let (status, refused) = platform.post("south", path, body).await;
                assert_eq!((status, &refused["code"]), (409, &json!(code)), "{refused}");
            }
            let (status, refused) = platform.post("south", DRAIN, r#"{"wave_pause_s": 1}"#).await;
            assert_eq!((status, &refused["code"]), (400, &json!("validation-error")), "{refused}");
            let (status, refused) = platform.post("south", "/v1/regions/west/drain", "{}").await;
            assert_eq!((status, &refused["code"]), (404, &json!("unknown-region")), "{refused}");

            let (status, begun) = platform.post("south", UNDRAIN, "{}").await;
            assert_eq!(status, 202, "{begun}");
            let ended = until_ended(platform, "north", &begun).await;
            assert_eq!(steps(&ended), ["undrain east"], "{ended}");
            platform.until_active("north", &HOMES).await;
            let (status, moved) = platform.post("north", switchover, east).await;
            assert_eq!(status, 200, "{moved}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_write_wherever_it_is_asked_for() {
    platform()
        .start(&REGIONS, async |platform| {
            for region in REGIONS {
                platform.until_active(region, &HOMES).await;
            }
            let key = [("idempotency-key", "9f4c")];
            let switchover = "/v1/cells/c3/switchover";
            let south = r#"{"to": "south"}"#;
            let (status, first) =
                platform.write_with("north", "POST", switchover, south, &key).await;
            assert_eq!(status, 200, "{first}");
            let again = platform.write_with("south", "POST", switchover, south, &key).await;
            assert_eq!(again, (200, first));
            let (status, other) =
                platform.write_with("east", "POST", switchover, r#"{"to": "north"}"#, &key).await;
            assert_eq!(
                (status, &other["code"]),
                (422, &json!("idempotency-key-reused")),
                "{other}"
            );

            let key = [("idempotency-key", "a-second-one")];
            let (status, first) = platform.write_with("north", "POST", EVACUATE, "{}", &key).await;
            assert_eq!(status, 202, "{first}");
            let again = platform.write_with("south", "POST", EVACUATE, "{}", &key).await;
            assert_eq!((again.0, &again.1["id"]), (202, &first["id"]));
            until_ended(platform, "south", &first).await;
            let again = platform.write_with("east", "POST", EVACUATE, "{}", &key).await;
            assert_eq!((again.0, &again.1["id"]), (202, &first["id"]));
            let url = format!("http://{}{EVACUATE}", platform.address("south", Port::ControlPlane));
            let bearer = format!("Bearer {}", Platform::token()).parse().unwrap();
            let headers = HeaderMap::from_iter([
                (AUTHORIZATION, bearer),
                (HeaderName::from_static(key[0].0), key[0].1.parse().unwrap()),
            ]);
            let again = platform.send(Method::POST, &url, headers, "{}").await;
            let location = format!("/v1/operations/{}", first["id"].as_str().unwrap());
            assert_eq!(again.headers["location"], location);

            // Whoever was asked may have died before anything came of it.
            let died = AuditRecord {
                at_unix_ms: runtime::clock::unix_millis(),
                who: first["who"].as_str().unwrap().to_owned(),
                vantage: "east".to_owned(),
                what: "switchover".to_owned(),
                cell: Some("c3".to_owned()),
                region: None,
                operation: None,
                idempotency_key: Some("died".to_owned()),
                body: json!({ "to": "north" }),
                reason: None,
                evidence: None,
                outcome: None,
            };
            let key = [("idempotency-key", "died")];
            let digest: [u8; 32] = Sha256::digest(format!("{}\0died", died.who)).into();
            let end = u64::from_be_bytes(*digest.first_chunk().unwrap());
            let entry = key::audit(&format!("9999999999999-east-{end:016x}"));
            let north = r#"{"to": "north"}"#;
            let day_before = died.at_unix_ms - 24 * 3600 * 1000;
            let long_ago = AuditRecord { at_unix_ms: day_before, ..died.clone() };
            for (record, expected) in [(died, 409), (long_ago, 200)] {
                let record = serde_json::to_vec(&record).unwrap();
                platform.client.put(&entry, record).await.unwrap();
                let (status, said) =
                    platform.write_with("north", "POST", switchover, north, &key).await;
                assert_eq!(status, expected, "{said}");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_has_begun_is_in_the_way_and_what_cannot_be_read_holds() {
    platform()
        .start(&["north"], async |platform| {
            platform.until_active("north", &HOMES).await;
            let newer = r#"{"goal": {"kind": "paint", "region": "east"}}"#;
            platform.client.put(&key::operation("op-000007"), newer).await.unwrap();
            let (status, refused) = platform.post("north", EVACUATE, "{}").await;
            assert_eq!((status, &refused["code"]), (409, &json!("operation-not-understood")));
            assert!(refused["detail"].as_str().unwrap().contains("op-000007"), "{refused}");
            // What is not about east goes on, and so does what somebody answers for.
            let (status, beside) =
                platform.post("north", "/v1/cells/c3/switchover", r#"{"to": "south"}"#).await;
            assert_eq!(status, 200, "{beside}");
            let mine =
                r#"{"override": ["operation-not-understood"], "reason": "its version is gone"}"#;
            let (status, begun) = platform.post("north", DRAIN, mine).await;
            assert_eq!((status, &begun["id"]), (202, &json!("op-000009")), "{begun}");
            until_ended(platform, "north", &begun).await;
            let operations = key::operation("");
            platform.client.remove(&operations, &format!("{operations}~")).await.unwrap();

            platform.client.put(key::FREEZE, "perhaps").await.unwrap();
            let frozen = platform.until(async || {
                let (status, refused) =
                    platform.post("north", &format!("{EVACUATE}?dry_run=true"), "{}").await;
                status == 200 && refused["broken"][0]["rule"] == "frozen"
            });
            assert!(frozen.await, "what cannot be read does not hold");
            let told = platform.until(async || {
                let alerts = platform.get("north", "/v1/alerts").await.unwrap();
                let mut alerts = alerts["data"].as_array().unwrap().iter();
                alerts.any(|alert| {
                    let detail = alert["detail"].as_str().unwrap();
                    alert["name"] == "not-understood" && detail.contains(key::FREEZE)
                })
            });
            assert!(told.await, "nobody is told");
            let thaw = r#"{"frozen": false, "reason": "we have looked"}"#;
            let (status, thawed) =
                platform.write_with("north", "PUT", "/v1/freeze", thaw, &[]).await;
            assert_eq!((status, &thawed["frozen"]), (200, &json!(false)), "{thawed}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_everything_and_a_waiting_operation_can_be_cancelled() {
    platform()
        .start(&["north", "south"], async |platform| {
            for region in ["north", "south"] {
                platform.until_active(region, &HOMES).await;
            }
            let freeze = r#"{"frozen": true, "reason": "we are looking"}"#;
            let (status, frozen) =
                platform.write_with("south", "PUT", "/v1/freeze", freeze, &[]).await;
            assert_eq!((status, &frozen["frozen"]), (200, &json!(true)), "{frozen}");
            for (path, body) in
                [(EVACUATE, "{}"), ("/v1/cells/c1/switchover", r#"{"to": "south"}"#)]
            {
                let (status, refused) = platform.post("north", path, body).await;
                assert_eq!((status, &refused["code"]), (409, &json!("frozen")), "{refused}");
            }
            // Neither by itself: a dead site is left as it is, and that is told.
            let dead = platform.agent_at("c3@north");
            dead.told(|agent| agent.dead = true);
            let told = platform.until(async || {
                let cell = platform.get("south", "/v1/cells/c3").await.unwrap();
                cell["frozen"]["why"]
                    .as_str()
                    .is_some_and(|why| why.contains("everything is frozen"))
            });
            assert!(told.await, "nobody tells that c3 is left as it is");
            dead.told(|agent| agent.dead = false);
            platform.until_active("south", &HOMES).await;

            let thaw = r#"{"frozen": false, "reason": "we have seen"}"#;
            let (status, _) = platform
                .write_with("south", "PUT", "/v1/freeze", thaw, &[("if-match", "\"1\"")])
                .await;
            assert_eq!(status, 412);
            let (status, _) = platform.write_with("south", "PUT", "/v1/freeze", thaw, &[]).await;
            assert_eq!(status, 200);
            let paused = r#"{"wave_pause_s": 3600}"#;
            let (status, begun) = platform.post("north", EVACUATE, paused).await;
            assert_eq!(status, 202, "{begun}");
            let (status, refused) =
                platform.post("south", "/v1/regions/south/evacuate", "{}").await;
            assert_eq!((status, &refused["code"]), (409, &json!("operation-running")), "{refused}");
            platform.until_active("south", &["south", "east", "north"]).await;
            let (status, refused) =
                platform.post("south", "/v1/cells/c2/switchover", r#"{"to": "north"}"#).await;
            assert_eq!((status, &refused["operation"]), (409, &begun["id"]), "{refused}");
            let (status, beside) =
                platform.post("south", "/v1/cells/c3/switchover", r#"{"to": "south"}"#).await;
            assert_eq!(status, 200, "{beside}");
            let path = format!("/v1/operations/{}", begun["id"].as_str().unwrap());
            let waits = platform.until(async || {
                let operation = platform.get("south", &path).await.unwrap();
                operation["waits_for"] == "3600 s between two waves"
            });
            assert!(waits.await, "it does not wait");
            let (status, cancelled) = platform.post("south", &format!("{path}/cancel"), "{}").await;
            assert_eq!(status, 200, "{cancelled}");
            let ended = until_ended(platform, "south", &begun).await;
            assert_eq!(ended["status"], "cancelled", "{ended}");
            assert_eq!(steps(&ended), ["drain east", "move c1 south", "undrain east"]);
            platform.until_active("south", &["south", "east", "south"]).await;
            let (status, refused) = platform.post("south", &format!("{path}/cancel"), "{}").await;
            assert_eq!((status, &refused["code"]), (409, &json!("operation-ended")), "{refused}");

            // Every one of these acts is written down with what came of it. What a control plane
            // decided itself has no outcome where nothing was done.
            let audit = platform.get("south", "/v1/audit").await.unwrap();
            let acts = audit["data"].as_array().unwrap().iter();
            let acts = acts.filter(|entry| !entry["outcome"].is_null());
            let what = |entry: &Value| {
                format!("{} {}", entry["what"].as_str().unwrap(), entry["outcome"]["status"])
            };
            let what: Vec<String> = acts.map(what).collect();
            let expected = [
                "cancel 409",
                "cancel 200",
                "switchover 200",
                "switchover 409",
                "evacuate 409",
                "evacuate 202",
                "unfreeze 200",
                "unfreeze 412",
                "switchover 409",
                "evacuate 409",
                "freeze 200",
            ];
            assert_eq!(what, expected);
        })
        .await;
}

fn platform() -> Platform {
    Platform::prepare_cells(&HOMES)
}

/// Waits until the operation has ended, seen from another control plane.
pub(crate) async fn until_ended(platform: &Platform, region: &str, begun: &Value) -> Value {
    let path = format!("/v1/operations/{}", begun["id"].as_str().unwrap());
    let mut last = Value::Null;
    let ended = platform.until(async || {
        let Some(operation) = platform.get(region, &path).await else { return false };
        last = operation;
        !last["ended_unix_ms"].is_null()
    });
    assert!(ended.await, "it does not end: {last}");
    last
}

/// Says what was done: `move c1 north`.
pub(crate) fn steps(operation: &Value) -> Vec<String> {
    let waves = operation["waves"].as_array().unwrap();
    let steps = waves.iter().flat_map(|wave| wave.as_array().unwrap());
    let done = steps.filter(|step| step["state"] == "done");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    done.map(|step| {
        let words = [text(&step["do"]), text(&step["cell"]), text(&step["to"])];
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    })
    .collect()
}
