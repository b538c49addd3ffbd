//! Going back to an earlier generation, with nobody left to ask.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::site::Site;
use crate::world::{Is, World};

#[tokio::test]
async fn a_running_router_goes_back_to_addresses_that_worked_with_etcd_gone_and_keeps_the_epoch() {
    let site = Site::start([]);
    let mut world = World::with_site(site.address).await;
    let good = version(&world).await;
    world.publish(9, &Is::ActiveIn("east"), nobody()).await;
    let bad = version(&world).await;
    world.kill_etcd();

    let (done, words) = world.rollback(&["--to", &good.to_string()]);
    assert!(done, "{words}");
    assert!(words.contains(&format!("rolled back from {bad} to {good}")), "{words}");
    world
        .eventually("the router heeds it", async || {
            let route = world.explain().await?;
            (route["rolled_back_to"] == json!(good)).then_some(())
        })
        .await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-bulkhead-epoch"], "9", "the site is asked under the epoch it has");
    assert_eq!(answer.headers["x-bulkhead-route-version"], bad.to_string().as_str());
    assert_eq!(world.metric("router_table_rolled_back ").await, Some(1.0));

    world.restart_router_without_etcd().await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK, "it lasts over a restart");

    assert!(world.rollback(&["--end"]).0);
    world
        .eventually("the rollback is over", async || {
            world.explain().await?["rolled_back_to"].is_null().then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_newer_version_ends_a_rollback() {
    let site = Site::start([]);
    let mut world = World::with_site(site.address).await;
    let good = version(&world).await;
    world.publish(9, &Is::ActiveIn("east"), nobody()).await;
    version(&world).await;
    let (done, words) = world.rollback(&["--to", &good.to_string()]);
    assert!(done, "{words}");
    world.publish(10, &Is::ActiveIn("north"), site.address).await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.headers["x-bulkhead-epoch"], "10");
    version(&world).await;
    let over = world
        .eventually("the order is gone", async || {
            let listed = list(&world);
            listed["rollback"].is_null().then_some(listed)
        })
        .await;
    assert_eq!(over["generations"].as_array().unwrap().len(), 3, "{over}");
}

#[tokio::test]
async fn the_generations_are_listed_with_what_changed_and_a_wrong_one_is_refused() {
    let site = Site::start([]);
    let mut world = World::with_site(site.address).await;
    let first = version(&world).await;
    world.publish(9, &Is::ActiveIn("north"), site.address).await;
    version(&world).await;
    let listed = list(&world);
    let newest = &listed["generations"][0];
    assert_eq!(
        newest["changes"],
        json!(["c1: epoch 7, steady in east → epoch 9, steady in north"])
    );
    assert!(newest["since"].as_str().unwrap().ends_with('Z'), "{newest}");
    assert_eq!(listed["generations"][1]["version"], json!(first));

    let (done, words) = world.rollback(&["--to", "1"]);
    assert!(!done);
    assert!(words.contains("find a whole generation 1"), "{words}");
    let newest = newest["version"].to_string();
    let (done, words) = world.rollback(&["--to", &newest]);
    assert!(!done && words.contains("is the newest generation"), "{words}");
    let (done, words) = world.rollback(&["--id", "7"]);
    assert!(!done && words.contains("find generations of router 7"), "{words}");
}

/// Returns the version that is applied, once it is on disk as well: it is written after it is used.
async fn version(world: &World) -> u64 {
    let version = world.explain().await.unwrap()["version"].as_u64().unwrap();
    world
        .eventually("the version is kept", async || {
            let (done, words) = world.rollback(&["--json"]);
            let listed = done.then(|| serde_json::from_str::<Value>(&words).unwrap())?;
            let kept = listed[0]["generations"].as_array()?;
            kept.iter().any(|kept| kept["version"] == json!(version)).then_some(())
        })
        .await;
    version
}

fn list(world: &World) -> Value {
    let (done, words) = world.rollback(&["--json"]);
    assert!(done, "{words}");
    serde_json::from_str::<Value>(&words).unwrap()[0].take()
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
