use runtime::Tasks;
use serde_json::{Value, json};

use crate::platform::{LIMIT, Platform};

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_agent_lives_and_whose_database_does_not_is_suspect_for_two_reasons() {
    Platform::run(&["north", "south"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| east.ill = true);
        let suspect = platform.until(async || {
            let evidence = platform.get("north", "/v1/cells/c1/evidence").await.unwrap();
            let kinds = keys(&evidence["against"]);
            evidence["verdict"] == "suspect" && kinds == ["probes", "report"]
        });
        assert!(suspect.await, "the site is not suspect");
        let evidence = platform.get("north", "/v1/cells/c1/evidence").await.unwrap();
        let told = evidence["against"]["report"]["what"].as_str().unwrap();
        assert!(told.starts_with("its agent says: PostgreSQL is starting"), "{told}");
        let agreed = &evidence["sites"]["east"]["agreed"];
        let agreed = ["health", "by", "of"].map(|name| &agreed[name]);
        assert_eq!(agreed, [&json!("failing"), &json!(2), &json!(2)]);
        assert_eq!(evidence["sites"]["north"]["agreed"], Value::Null);
        assert_eq!(platform.get("north", "/v1/cells/c9/evidence").await, None);

        let matrix = platform.get("north", "/v1/vantages").await.unwrap();
        let rows: Vec<_> = matrix["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| json!([row["id"], row["fresh"], row["sites"]["c1@east"]["health"]]))
            .collect();
        assert_eq!(rows, [json!(["north", true, "failing"]), json!(["south", true, "failing"])]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_can_be_read_afterwards_with_what_it_rested_on() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| east.dead = true);
        let written = platform.until(async || {
            let audit = platform.get("north", "/v1/audit").await.unwrap();
            audit["data"][0]["outcome"]["status"] == 200
        });
        assert!(written.await, "the move is not in the audit log");
        let audit = platform.get("north", "/v1/audit").await.unwrap();
        let entry = &audit["data"][0];
        assert_eq!((&entry["who"], &entry["what"]), (&json!("control plane"), &json!("take-over")));
        assert_eq!(entry["body"]["sites"]["east"]["agreed"]["health"], "unreachable");
        assert_eq!(keys(&entry["body"]["against"]), ["lease", "probes"]);

        let evidence = platform.get("north", "/v1/cells/c1/evidence").await.unwrap();
        let decision = &evidence["decisions"].as_array().unwrap().last().unwrap();
        assert_eq!(decision["action"], "take-over");
        assert_eq!(decision["evidence"]["verdict"], "down");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_control_plane_noticed_is_told_by_another_that_began_later() {
    let platform = Platform::prepare();
    let etcd = platform.etcd();
    let mut agents = Tasks::default();
    platform.agents(&mut agents);
    let mut told = Value::Null;
    let test = async {
        let mut first = Tasks::default();
        platform.control_plane(&mut first, "north");
        let noticed = async {
            platform.until_known("north").await;
            platform.agent("east").told(|east| east.ill = true);
            told = remembered(&platform, "north", "left").await;
        };
        Box::pin(first.run(noticed, LIMIT)).await.unwrap();
        let mut second = Tasks::default();
        platform.control_plane(&mut second, "south");
        let same = async { assert_eq!(remembered(&platform, "south", "left").await, told) };
        Box::pin(second.run(same, LIMIT)).await.unwrap();
    };
    Box::pin(agents.run(test, LIMIT)).await.unwrap();
    assert_eq!(told["vantage"], "north");
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("the cell stays: the cell's epoch has been known for"), "{reason}");
    assert_eq!(keys(&told["seen"]["against"]), ["probes", "report"]);
    assert_eq!(told["seen"]["sites"]["east"]["agreed"]["health"], "failing");
    etcd.kill().await;
}

/// Waits until a control plane tells that this was noticed or decided.
async fn remembered(platform: &Platform, vantage: &str, what: &str) -> Value {
    let mut found = None;
    let told = platform.until(async || {
        let evidence = platform.get(vantage, "/v1/cells/c1/evidence").await;
        let history = evidence.as_ref().and_then(|evidence| evidence["history"].as_array());
        found = history.and_then(|all| all.iter().find(|one| one["what"] == what).cloned());
        found.is_some()
    });
    assert!(told.await, "{vantage} does not tell of {what}");
    found.unwrap()
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
