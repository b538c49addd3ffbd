use std::future::pending;
use std::sync::Arc;

use control_plane::app;
use runtime::Tasks;
use serde_json::{Value, json};
use topology::Spec;

use crate::platform::{EMPTY_NETWORKS, LIMIT, Platform};

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
            let alert = alert(&platform, "north", "gray-failure").await;
            assert_eq!([&alert["cell"], &alert["region"]], ["c1", "east"], "{alert}");
            let detail = alert["detail"].as_str().unwrap();
            assert!(detail.contains("it is left there: the cell's epoch has been known for"));
            let way_out = alert["way_out"].as_str().unwrap();
            assert!(way_out.starts_with("POST /v1/cells/c1/switchover"), "{way_out}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_goes_down_and_up_three_times_is_said_to_come_and_go() {
    Platform::run(&["south"], async |platform| {
        platform.until_known("south").await;
        for _ in 0..3 {
            for dead in [true, false] {
                platform.agent("north").told(|north| north.dead = dead);
                platform.until_site("south", "c1@north", ("reachable", json!(!dead))).await;
            }
        }
        let told = remembered(platform, "south", "flapping").await;
        let why = "the site in north comes and goes: no planned move goes there";
        assert_eq!(told["reason"], why, "{told}");
        let alert = alert(platform, "south", "flapping").await;
        assert_eq!([&alert["cell"], &alert["region"]], ["c1", "north"], "{alert}");
        assert!(alert["detail"].as_str().unwrap().contains("is no target of automatic moves"));
        let evidence = platform.get("south", "/v1/cells/c1/evidence").await.unwrap();
        let flapping = ["north", "south"].map(|region| &evidence["sites"][region]["flapping"]);
        assert_eq!(flapping, [&json!(true), &json!(false)], "{evidence}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_alone_sees_sites_of_two_regions_badly_says_so_of_itself() {
    Platform::run(&["east", "south"], async |platform| {
        let mut config = platform.config("north");
        config.spec = Arc::new(with_nobody_in(platform, &["north", "south"]));
        let told = async {
            let alert = alert(platform, "north", "observer-fault").await;
            assert_eq!([&alert["cell"], &alert["region"]], [&Value::Null, &json!("north")]);
            let detail = "this observer alone sees sites of north and south badly";
            assert_eq!(alert["detail"], detail);
            // It says so of itself alone, and the others see nothing amiss.
            let others = platform.get("south", "/v1/alerts").await.unwrap();
            assert_eq!(others["data"], json!([]));
        };
        tokio::select! {
            ended = app::serve(config, pending()) => panic!("it ended by itself: {ended:?}"),
            () = told => {}
        }
    })
    .await;
}

/// Returns what is so of the platform, but for regions whose sites are looked for where nobody is.
fn with_nobody_in(platform: &Platform, regions: &[&str]) -> Spec {
    let text = std::fs::read_to_string(platform.folder().join("regions.yaml")).unwrap();
    let elsewhere = text.lines().map(|line| {
        let named = regions
            .iter()
            .zip(EMPTY_NETWORKS..)
            .find(|(region, _)| line.trim_start().starts_with(&format!("- {{id: {region}, ")));
        match (named, line.split_once("network: ")) {
            (Some((_, network)), Some((before, _))) => {
                format!("{before}network: 127.{network}.0.0/16}}\n")
            }
            _ => format!("{line}\n"),
        }
    });
    Spec::parse(&elsewhere.collect::<String>()).unwrap()
}

/// Waits until a control plane raises an alert, and returns it.
async fn alert(platform: &Platform, vantage: &str, name: &str) -> Value {
    let mut all = Value::Null;
    let raised = platform.until(async || {
        let Some(alerts) = platform.get(vantage, "/v1/alerts").await else { return false };
        all = alerts["data"].clone();
        all.as_array().is_some_and(|all| all.iter().any(|alert| alert["name"] == name))
    });
    assert!(raised.await, "{vantage} raises no {name}: {all}");
    all.as_array().unwrap().iter().find(|alert| alert["name"] == name).unwrap().clone()
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
