use axum::http::HeaderMap;
use runtime::clock;
use serde_json::{Value, json};

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_now_and_at_any_moment_before_even_without_etcd() {
    let platform = Platform::prepare();
    let etcd = platform.etcd();
    let mut tasks = runtime::Tasks::default();
    platform.agents(&mut tasks);
    platform.control_plane(&mut tasks, "north");
    let test = async {
        platform.until_known("north").await;
        let opened = platform.until(async || {
            explain(&platform, "").await["history"].as_array().is_some_and(|all| !all.is_empty())
        });
        assert!(opened.await, "nothing is recorded");
        let before = explain(&platform, "").await;
        let told = json!([before["cell"], before["active"], before["epoch"], before["state"]]);
        assert_eq!(told, json!(["c1", "east", 1, "serving"]));
        let at_east = clock::unix_millis();

        let (status, moved) = platform.switchover("north", r#"{"to":"south"}"#).await;
        assert_eq!(status, 200, "{moved}");
        let recorded = platform
            .until(async || explain(&platform, "").await["history"][0]["epoch"] == moved["epoch"]);
        assert!(recorded.await, "the move is not recorded");
        let now = explain(&platform, "").await;
        assert_eq!((&now["active"], &now["epoch"]), (&json!("south"), &moved["epoch"]));
        let why = now["why"].as_str().unwrap();
        assert!(why.starts_with("planned move from east to south"), "{why}");
        assert_eq!(now["cause"], json!({"kind": "switchover", "operation": moved["operation"]}));
        let operation = platform.page("north", now["link"].as_str().unwrap()).await;
        let told = [&operation["id"], &operation["kind"], &operation["status"]];
        assert_eq!(told, [&moved["operation"], &json!("switchover"), &json!("done")]);
        let then = explain(&platform, &format!("&at={at_east}")).await;
        assert_eq!((&then["active"], &then["epoch"]), (&json!("east"), &json!(1)), "{then}");
        assert_eq!(then["until_unix_ms"], now["history"][0]["begun_unix_ms"]);
        let moment = now["history"][0]["begun_unix_ms"].as_u64().unwrap();
        let between = explain(&platform, &format!("&at={moment}")).await;
        assert_eq!((&between["state"], &between["active"]), (&json!("moving"), &json!("south")));
        assert_eq!((&between["cause"], &between["link"]), (&now["cause"], &now["link"]));

        platform.agent("north").told(|north| north.lsn = 1200);
        platform.agent("south").told(|south| south.dead = true);
        let recorded = platform
            .until(async || explain(&platform, "").await["history"][0]["active"] == "north");
        assert!(recorded.await, "the failover is not recorded");
        let lost = explain(&platform, "").await;
        assert_eq!(lost["cause"], json!({"kind": "site-lost"}), "{lost}");
        let evidence = platform.page("north", lost["link"].as_str().unwrap()).await;
        let noted = evidence["history"].as_array().unwrap();
        assert!(noted.iter().any(|entry| entry["what"] == "take-over"), "{evidence}");
        let earlier = [&lost["history"][1]["cause"], &lost["history"][1]["link"]];
        assert_eq!(earlier, [&now["cause"], &now["link"]]);
        assert_eq!(lost["history"][2].get("cause"), None, "a first start has no cause");

        for (at, code) in [
            ("2020-01-01T00:00:00Z", "nothing-recorded"),
            ("9999-01-01T00:00:00Z", "validation-error"),
            ("yesterday", "validation-error"),
        ] {
            assert_eq!(explain(&platform, &format!("&at={at}")).await["code"], code, "{at}");
        }

        etcd.kill().await;
        let known = explain(&platform, "").await;
        assert_eq!((&known["active"], &known["history"]), (&json!("north"), &Value::Null));
        let past = explain(&platform, &format!("&at={at_east}")).await;
        assert_eq!((&past["status"], &past["code"]), (&json!(503), &json!("etcd-unreachable")));
        let (status, problem) = platform.switchover("north", r#"{"to":"east"}"#).await;
        assert_eq!((status, &problem["code"]), (503, &json!("etcd-unreachable")), "{problem}");
        let aged = platform.until(async || {
            let cells = platform.ask("north", "/v1/cells", HeaderMap::new()).await;
            assert_eq!(cells.status.as_u16(), 200);
            cells.headers["age"].to_str().unwrap().parse::<u64>().unwrap() >= 1
        });
        assert!(aged.await, "it is not said how old it is");
    };
    Box::pin(tasks.run(test, std::time::Duration::from_secs(5))).await.unwrap();
}

async fn explain(platform: &Platform, more: &str) -> Value {
    platform.page("north", &format!("/v1/route/explain?user=alice{more}")).await
}
