//! The executor of an operation is killed between any two of its steps, and another control plane
//! brings it to its end.

use std::future::pending;

use control_plane::app;
use control_plane::failpoint::Failpoint;
use serde_json::json;
use tokio::sync::mpsc;

use crate::operations::{EVACUATE, RESTORE, until_ended};
use crate::platform::Platform;
use crate::sites::{ADD, RETIRE, sites};

/// Each test walks every third point, so that they can run side by side.
const TESTS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_a_first_third_of_the_points_is_followed_by_another() {
    walk(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_a_second_third_of_the_points_is_followed_by_another() {
    walk(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_the_last_third_of_the_points_is_followed_by_another() {
    walk(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_a_site_leaves_is_followed_by_another() {
    walk_sites(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_another_point_while_a_site_leaves_is_followed_by_another() {
    walk_sites(1).await;
}

/// Every second point of a site's leaving, from the first of these on.
async fn walk_sites(first: usize) {
    Platform::prepare()
        .start(&["south"], async |platform| {
            let mut died = Vec::new();
            for point in (first..).step_by(2) {
                platform.until_known("south").await;
                let Some(name) = dies_at(platform, point, RETIRE, &["east"]).await else { break };
                died.push(name);
                let all = platform.get("south", "/v1/operations").await.unwrap();
                let ended = until_ended(platform, "south", &all["data"][0]).await;
                assert_eq!(ended["status"], "done", "died at {point}, {name}: {ended}");
                let found = sites(platform).await;
                let expected = "east active, north standby votes, south retired";
                assert_eq!(found, expected, "died at {point}, {name}");
                let (status, begun) = platform.post("south", ADD, "{}").await;
                assert_eq!(status, 202, "{begun}");
                let ended = until_ended(platform, "south", &begun).await;
                assert_eq!(ended["status"], "done", "after {point}, {name}: {ended}");
            }
            assert!(died.len() >= 3, "{died:?}");
        })
        .await;
}

async fn walk(first: usize) {
    Platform::prepare_cells(&["east"])
        .start(&["south"], async |platform| {
            let mut died = Vec::new();
            for point in (first..).step_by(TESTS) {
                platform.until_active("south", &["east"]).await;
                let east = ["east"];
                let Some(name) = dies_at(platform, point, EVACUATE, &east).await else { break };
                died.push(name);
                let all = platform.get("south", "/v1/operations").await.unwrap();
                let ended = until_ended(platform, "south", &all["data"][0]).await;
                assert_eq!(ended["status"], "done", "died at {point}, {name}: {ended}");
                let cell = platform.cell().await.unwrap();
                let active = cell.activation.holder().map(ToString::to_string);
                assert_ne!(active.as_deref(), Some("east"), "died at {point}, {name}");
                assert_eq!(drained(platform).await, ["east"], "died at {point}, {name}");
                // The old active site follows again.
                platform.until_known("south").await;
                let (status, begun) = platform.post("south", RESTORE, "{}").await;
                assert_eq!(status, 202, "{begun}");
                let ended = until_ended(platform, "south", &begun).await;
                assert_eq!(ended["status"], "done", "after {point}, {name}: {ended}");
            }
            // A heartbeat may have its points besides.
            assert!(died.len() >= 4, "{died:?}");
        })
        .await;
}

/// Lets the control plane in north execute what is asked for up to the point with this number, and kills
/// it there. Returns the point's name, or `None` if the operation has ended before.
async fn dies_at(
    platform: &Platform,
    number: usize,
    asked: &str,
    active: &[&str],
) -> Option<&'static str> {
    let (listener, mut reached) = mpsc::channel(1);
    let mut config = platform.config("north");
    config.failpoint = Failpoint::told(listener);
    let scenario = async {
        platform.until_active("north", active).await;
        let (status, begun) = platform.post("north", asked, "{}").await;
        assert_eq!(status, 202, "{begun}");
        let mut passed = 0;
        loop {
            let point = tokio::select! {
                biased;
                point = reached.recv() => point,
                _ = until_ended(platform, "south", &begun) => return None,
            };
            let (name, go_on) = point.expect("a control plane has failpoints as long as it runs");
            if passed == number {
                return Some(name);
            }
            passed += 1;
            go_on.send(()).unwrap();
        }
    };
    tokio::select! {
        ended = app::serve(config, pending()) => panic!("it ended by itself: {ended:?}"),
        name = scenario => name,
    }
}

async fn drained(platform: &Platform) -> Vec<String> {
    let regions = platform.get("south", "/v1/regions").await.unwrap();
    let regions = regions["data"].as_array().unwrap();
    let drained = regions.iter().filter(|region| region["drained"] == json!(true));
    drained.map(|region| region["id"].as_str().unwrap().to_owned()).collect()
}
