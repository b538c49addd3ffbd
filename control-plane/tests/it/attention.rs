use serde_json::json;
use topology::wire::lost_writes::LostWritesReport;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_a_cell_at_risk_are_told_with_since_when() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let none = platform.get("north", "/v1/alerts").await.unwrap();
        assert_eq!(none["data"], json!([]));
        platform.agent("east").told(|east| {
            east.at_risk = true;
            east.alerts.insert("archive-failing".to_owned(), "3 segments wait".to_owned());
        });
        let told = platform.until(async || {
            platform.get("north", "/v1/cells/c1").await.unwrap()["at_risk"] == true
        });
        assert!(told.await, "the cell is not at risk");
        let alerts = platform.get("north", "/v1/alerts").await.unwrap();
        let told: Vec<_> = alerts["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| {
                assert!(alert["since_unix_ms"].as_u64() > Some(1_600_000_000_000));
                json!([alert["name"], alert["cell"], alert["region"]])
            })
            .collect();
        assert_eq!(
            told,
            [json!(["archive-failing", "c1", "east"]), json!(["at-risk", "c1", "east"])]
        );
        let cell = platform.get("north", "/v1/cells/c1").await.unwrap();
        let alert = &cell["sites"][0]["alerts"]["archive-failing"];
        assert_eq!(alert["detail"], "3 segments wait");
        assert_eq!(
            (&cell["sites"][0]["votes"], &cell["sites"][1]["votes"]),
            (&json!(false), &json!(true))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_writes_of_all_sites_are_told_and_who_did_not_answer() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let report = |region: &str, epoch| LostWritesReport {
            cell: "c1".to_owned(),
            region: region.to_owned(),
            epoch,
            ..LostWritesReport::default()
        };
        platform.agent("north").told(|north| north.lost_writes = vec![report("north", 3)]);
        platform.agent("east").told(|east| east.lost_writes = vec![report("east", 5)]);
        platform.agent("south").told(|south| south.dead = true);
        let lost = platform.get("north", "/v1/cells/c1/lost-writes").await.unwrap();
        let told: Vec<_> = lost["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|report| json!([report["epoch"], report["region"]]))
            .collect();
        assert_eq!(told, [json!([5, "east"]), json!([3, "north"])]);
        assert_eq!(lost["unreachable"], json!(["south"]));
        assert_eq!(platform.get("north", "/v1/cells/c9/lost-writes").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vantage_writes_down_what_it_sees() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let key = topology::wire::key::vantage(&"north".parse().unwrap());
        let told = platform.until(async || {
            let stored = platform.client.read(&[&key]).await.unwrap();
            let report: Option<serde_json::Value> =
                stored.first().map(|stored| serde_json::from_slice(&stored.value).unwrap());
            report.is_some_and(|report| {
                let south = &report["sites"]["c1@south"];
                let told = ["reachable", "health", "tenure", "epoch"].map(|name| &south[name]);
                told == [&json!(true), &json!("healthy"), &json!("standby"), &json!(1)]
                    && south["deep"]["outcome"] == "read"
            })
        });
        assert!(told.await, "the vantage does not tell what it sees");
    })
    .await;
}
