use runtime::Tasks;
use serde_json::json;
use topology::address::Port;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn every_call_tells_what_is_known() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let cell = platform.get("north", "/v1/cells/c1").await.unwrap();
        let told = json!({
            "epoch": cell["epoch"], "phase": cell["phase"], "active": cell["active"],
            "target": cell["target"], "voters": cell["voters"], "acks": cell["acks"],
            "slots": cell["slots"], "holder": cell["lease"]["holder"],
            "roles": cell["sites"].as_array().unwrap().iter()
                .map(|site| format!("{}: {}, lag {}", site["region"], site["role"], site["lag_bytes"]))
                .collect::<Vec<_>>(),
        });
        let expected = json!({
            "epoch": 1, "phase": "steady", "active": "east", "target": null,
            "voters": ["north", "south"], "acks": 1, "slots": 16384, "holder": "east",
            "roles": [
                "\"east\": \"active\", lag 0",
                "\"north\": \"standby\", lag 0",
                "\"south\": \"standby\", lag 0",
            ],
        });
        assert_eq!(told, expected);
        let answer = platform.call("north", "GET", "/v1/cells/c1", Some(Platform::token()), "");
        assert_eq!(answer.await.unwrap().headers["etag"], "\"1\"");

        let cells = platform.get("north", "/v1/cells").await.unwrap();
        assert_eq!(cells["data"].as_array().unwrap().len(), 1);
        let regions = platform.get("north", "/v1/regions").await.unwrap();
        assert_eq!(regions["data"][0]["active"], json!(["c1"]));
        assert_eq!(regions["data"][1]["standby"], json!(["c1"]));
        let sites = platform.get("north", "/v1/sites").await.unwrap();
        assert_eq!(sites["data"].as_array().unwrap().len(), 3);
        let routers = platform.get("north", "/v1/routers").await.unwrap();
        assert_eq!(routers["data"], json!([]));
        let snapshot = platform.get("north", "/v1/snapshot").await.unwrap();
        assert_eq!(snapshot["cells"]["c1"]["slots"], 16384);
        assert!(snapshot["version"].as_u64() > Some(1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_learns_nothing() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        for (token, code) in [(None, "token-missing"), (Some("wrong"), "token-unknown")] {
            for path in ["/v1/cells", "/v1/cells/c1", "/v1/events", "/nothing"] {
                let answer = platform.call("north", "GET", path, token, "").await.unwrap();
                let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!((answer.status.as_u16(), &body["code"]), (401, &json!(code)), "{path}");
                let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                assert!(challenge.starts_with("Bearer "), "{challenge}");
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_a_problem_that_says_why() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let switchover = "/v1/cells/c1/switchover";
        for (method, path, body, status, code) in [
            ("GET", "/v1/nothing", "", 404, "no-such-route"),
            ("DELETE", "/v1/cells", "", 405, "method-not-allowed"),
            ("GET", "/v1/cells/c9", "", 404, "unknown-cell"),
            ("GET", "/v1/cells/%20", "", 404, "unknown-cell"),
            ("POST", "/v1/cells/c9/switchover", r#"{"to":"south"}"#, 404, "unknown-cell"),
            ("GET", "/v1/audit?limit=1001", "", 400, "validation-error"),
            ("GET", "/v1/audit?limit=many", "", 400, "validation-error"),
            ("POST", switchover, r#"{"to":"east"}"#, 409, "already-active"),
            ("POST", switchover, r#"{"to":"west"}"#, 409, "not-a-standby"),
            ("POST", switchover, r#"{"to":"#, 400, "validation-error"),
            ("POST", switchover, r#"{"to":"South"}"#, 400, "validation-error"),
            ("POST", switchover, r#"{"to":"south","now":true}"#, 400, "validation-error"),
        ] {
            let token = Some(Platform::token());
            let answer = platform.call("north", method, path, token, body).await.unwrap();
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let found = (answer.status.as_u16(), problem["code"].as_str().unwrap());
            assert_eq!(found, (status, code), "{method} {path} {body}");
        }
        let (_, problem) = platform.switchover("north", r#"{"to":"South"}"#).await;
        assert_eq!(problem["errors"][0]["pointer"], "/to");

        platform.agent("south").told(|south| south.dead = true);
        let unreachable = platform.until(async || {
            let (status, problem) = platform.switchover("north", r#"{"to":"south"}"#).await;
            (status, &problem["code"]) == (409, &json!("target-unreachable"))
        });
        assert!(unreachable.await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_starts_before_etcd_and_outlives_it() {
    let platform = Platform::prepare();
    let mut tasks = Tasks::default();
    platform.control_plane(&mut tasks, "north");
    let test = async {
        let unready = platform.until(async || ready(&platform).await == Some(false));
        assert!(unready.await, "it does not start without etcd");
        let token = Some(Platform::token());
        let answer = platform.call("north", "GET", "/v1/cells", token, "").await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status.as_u16(), &problem["code"]), (503, &json!("nothing-known")));

        let etcd = platform.etcd();
        assert!(platform.until(async || ready(&platform).await == Some(true)).await, "not ready");
        platform.until_cell_is("epoch 1, promoting east").await;
        let told = platform.until(async || platform.get("north", "/v1/cells/c1").await.is_some());
        assert!(told.await, "the cell is not told");
        // Nobody is there to make its first database.
        let (status, problem) = platform.failover("north", "{}").await;
        assert_eq!((status, &problem["code"]), (409, &json!("no-database")), "{problem}");

        etcd.kill().await;
        assert!(
            platform.until(async || ready(&platform).await == Some(false)).await,
            "still ready"
        );
        let cell = platform.get("north", "/v1/cells/c1").await.unwrap();
        assert_eq!(cell["phase"], "promoting");

        let etcd = platform.etcd();
        assert!(
            platform.until(async || ready(&platform).await == Some(true)).await,
            "not ready again"
        );
        etcd.kill().await;
    };
    Box::pin(tasks.run(test, std::time::Duration::from_secs(5))).await.unwrap();
}

/// Returns what the admin endpoint says of readiness, if it answers.
async fn ready(platform: &Platform) -> Option<bool> {
    let url = format!("http://{}/readyz", platform.address("north", Port::ControlPlaneAdmin));
    let client = runtime::HttpClient::default();
    let limit = std::time::Duration::from_secs(5);
    let headers = axum::http::HeaderMap::new();
    let answer = client.call("GET".parse().unwrap(), &url, headers, "", limit).await.ok()?;
    Some(answer.status.is_success())
}
