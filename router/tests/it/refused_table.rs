//! Tables in etcd that must not be routed by.

use http::{Method, StatusCode};
use topology::wire::key;

use crate::site::Site;
use crate::world::{Is, World};

/// Takes the slots of `ada`, and half of all.
const HALF_MOVED: &str = r#"{"cells": ["c1", "c2"], "runs": [[1, 8192], [0, 8192]]}"#;
const NOT_ALL_SLOTS: &str = r#"{"cells": ["c1"], "runs": [[0, 9]]}"#;

#[tokio::test]
async fn a_hostile_table_is_counted_and_told_and_users_are_served_by_the_last_good_one() {
    let (site, decoy) = (Site::start([]), Site::start([]));
    let mut world = World::with_site(site.address).await;
    let [c1, c2] = ["c1", "c2"].map(|id| key::cell(&id.parse().unwrap()));
    let good = World::cell_record(7, &Is::ActiveIn("east"), site.address);
    let old = World::cell_record(3, &Is::ActiveIn("east"), decoy.address);
    let homeless = without_gateways(&good);
    world.write(&c2, &World::cell_record(7, &Is::ActiveIn("east"), decoy.address)).await;
    for (key, value, reason, word) in [
        (c1.as_str(), "{", "malformed", "not the expected JSON"),
        (c1.as_str(), homeless.as_str(), "no-gateway", "no gateway"),
        (c1.as_str(), old.as_str(), "older-epoch", "epoch 3 is older than 7"),
        (key::PLACEMENT, HALF_MOVED, "too-many-moves", "slots change owner at once"),
        (key::PLACEMENT, NOT_ALL_SLOTS, "malformed", "covers 9 slots"),
    ] {
        let series = format!("router_table_refused_total{{reason=\"{reason}\"}}");
        let before = world.metric(&series).await.unwrap();
        world.write(key, value).await;
        world
            .eventually(&format!("a table is refused as {reason}: {value}"), async || {
                let count = world.metric(&series).await?;
                let route = world.explain().await?;
                let told = route["refused"].as_str()?.contains(word);
                (told && count > before).then_some(())
            })
            .await;
        let route = world.explain().await.unwrap();
        assert_eq!((&route["site"], &route["epoch"]), (&"c1@east".into(), &7.into()), "{route}");
        let answer = world.client().ask(Method::POST, &[], "hello").await;
        assert_eq!(answer.status, StatusCode::OK, "{reason}");
        assert_eq!(answer.headers["x-bulkhead-epoch"], "7");
        world.write(&c1, &good).await;
    }
    assert_eq!((site.seen().len(), decoy.seen().len()), (5, 0));
    // Nor does a new process begin with what the last one refused.
    world.restart_router_without_etcd().await;
    assert_eq!(world.client().ask(Method::POST, &[], "").await.status, StatusCode::OK);
    assert_eq!((site.seen().len(), decoy.seen().len()), (6, 0));
}

fn without_gateways(record: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
    record["gateways"] = serde_json::json!({});
    record.to_string()
}
