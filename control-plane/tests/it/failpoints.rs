//! The executor of an operation is killed between any two of its steps, and another control plane
//! brings it to its end.

use std::future::pending;
use std::pin::pin;

use control_plane::app;
use control_plane::failpoint::{Failpoint, Reached};
use serde_json::json;
use tokio::sync::mpsc;
use topology::Phase;

use crate::operations::{EVACUATE, RESTORE, until_ended};
use crate::platform::Platform;
use crate::sites::{ADD, RETIRE, sites};

const SWITCHOVER: &str = "/v1/cells/c1/switchover";
/// Each test walks every third point, so that they can run side by side.
const TESTS: usize = 3;
/// Points of a cell's evacuation, but for the last one: that is after the write which ends it, and whether it
/// is seen to have ended before is a matter of moments.
const CERTAIN: usize = 11;

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

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_one_cell_is_moved_is_followed_by_another() {
    walk_switchover(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_another_point_while_one_cell_is_moved_is_followed_by_another() {
    walk_switchover(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_a_lost_cell_fails_over_is_followed_by_another() {
    walk_failover(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_another_point_while_a_lost_cell_fails_over_is_followed_by_another()
 {
    walk_failover(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_waits_for_its_write_holds_no_other_up() {
    Platform::prepare_cells(&["east", "north"])
        .start(&[], async |platform| {
            let (listener, mut reached) = mpsc::channel(1);
            let mut config = platform.config("north");
            config.failpoint = Failpoint::told(listener);
            let scenario = async {
                platform.until_active("north", &["east", "north"]).await;
                let (status, drain) = platform.post("north", "/v1/regions/south/drain", "{}").await;
                assert_eq!(status, 202, "{drain}");
                let (point, write) = reached.recv().await.unwrap();
                assert_eq!(point, "before a write");
                let asked = platform.post("north", "/v1/cells/c2/switchover", r#"{"to": "east"}"#);
                let (status, moved) = let_all_go_on(&mut reached, asked).await;
                assert_eq!(status, 200, "{moved}");
                write.send(()).unwrap();
                let ends = until_ended(platform, "north", &drain);
                let ended = let_all_go_on(&mut reached, ends).await;
                assert_eq!(ended["status"], "done", "{ended}");
            };
            tokio::select! {
                ended = app::serve(config, pending()) => panic!("it ended by itself: {ended:?}"),
                () = scenario => {}
            }
        })
        .await;
}

/// Lets the control plane pass every point until something has happened.
async fn let_all_go_on<T>(
    reached: &mut mpsc::Receiver<Reached>,
    happens: impl Future<Output = T>,
) -> T {
    let mut happens = pin!(happens);
    loop {
        tokio::select! {
            Some((_, go_on)) = reached.recv() => go_on.send(()).unwrap(),
            happened = &mut happens => return happened,
        }
    }
}

/// Every second point of a failover that nobody could vote for, from the first of these on.
async fn walk_failover(first: usize) {
    Platform::prepare()
        .start(&["south"], async |platform| {
            let mut died = Vec::new();
            for point in (first..).step_by(2) {
                let Some(name) = dies_failing_over(platform, point).await else { break };
                died.push(name);
                let all = platform.get("south", "/v1/operations").await.unwrap();
                let ended = until_ended(platform, "south", &all["data"][0]).await;
                assert_eq!(ended["status"], "done", "died at {point}, {name}: {ended}");
                assert_eq!(ended["waves"][0][0]["to"], "south", "{ended}");
                platform.until_serving("south").await;
                lose(platform, false);
                platform.until_known("south").await;
                let (status, back) = platform.switchover("south", r#"{"to": "east"}"#).await;
                assert_eq!(status, 200, "after {point}, {name}: {back}");
                platform.until_known("south").await;
            }
            // Five at least: what was asked is written, the cell elects, and who has won is written.
            assert!(died.len() >= 2, "{died:?}");
        })
        .await;
}

/// The same as [`dies_at`] for a failover, whose answer comes at its end.
async fn dies_failing_over(platform: &Platform, number: usize) -> Option<&'static str> {
    let asked = async {
        platform.until_active("north", &["east"]).await;
        lose(platform, true);
        for site in ["c1@east", "c1@north"] {
            platform.until_site("north", site, ("reachable", json!(false))).await;
            platform.until_site("south", site, ("reachable", json!(false))).await;
        }
        let body = r#"{"accept_data_loss": true, "reason": "east and north have burnt down"}"#;
        let (status, done) = platform.post("north", "/v1/cells/c1/failover", body).await;
        assert_eq!((status, &done["to"]), (200, &json!("south")), "{done}");
    };
    dies(platform, number, asked).await
}

/// Home and a voter die, or come back.
fn lose(platform: &Platform, dead: bool) {
    for region in ["east", "north"] {
        platform.agent(region).told(|agent| agent.dead = dead);
    }
}

/// Every second point of a cell's planned move, from the first of these on.
async fn walk_switchover(first: usize) {
    Platform::prepare()
        .start(&["south"], async |platform| {
            let mut died = Vec::new();
            for point in (first..).step_by(2) {
                let Some(name) = dies_moving(platform, point).await else { break };
                died.push(name);
                let phase = platform.cell().await.unwrap().activation.phase;
                let all = platform.get("south", "/v1/operations").await.unwrap();
                let ended = until_ended(platform, "south", &all["data"][0]).await;
                // Interrupted, the cell elects whoever has everything: that may be its old site.
                let elects = matches!(phase, Phase::Switching { .. } | Phase::Electing { .. });
                match ended["status"].as_str() {
                    Some("done") => platform.until_serving("south").await,
                    Some("failed") if elects => {}
                    _ => panic!("died at {point}, {name}: {ended}"),
                }
                platform.until_known("south").await;
                let (status, back) = platform.switchover("south", r#"{"to": "east"}"#).await;
                let is_there = (status, &back["code"]) == (409, &json!("already-active"));
                assert!(status == 200 || is_there, "after {point}, {name}: {back}");
                platform.until_known("south").await;
            }
            assert!(died.len() >= 3, "{died:?}");
        })
        .await;
}

/// The same as [`dies_at`] for a planned move, whose answer comes at its end.
async fn dies_moving(platform: &Platform, number: usize) -> Option<&'static str> {
    let asked = async {
        platform.until_active("north", &["east"]).await;
        let body = r#"{"to": "south"}"#;
        let answer =
            platform.call("north", "POST", SWITCHOVER, Some(Platform::token()), body).await;
        assert_eq!(answer.map(|answer| answer.status.as_u16()), Some(200));
    };
    dies(platform, number, asked).await
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
            // Whether it is put away before it is seen to have ended is a matter of moments.
            assert!(died.len() >= 2, "{died:?}");
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
            assert!(died.len() >= (CERTAIN - first).div_ceil(TESTS), "{died:?}");
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
    let asked = async {
        platform.until_active("north", active).await;
        let (status, begun) = platform.post("north", asked, "{}").await;
        assert_eq!(status, 202, "{begun}");
        until_ended(platform, "south", &begun).await;
    };
    dies(platform, number, asked).await
}

/// Kills the control plane in north at the point with this number, if what is asked of it comes so far.
async fn dies(
    platform: &Platform,
    number: usize,
    asked: impl Future<Output = ()>,
) -> Option<&'static str> {
    let (listener, mut reached) = mpsc::channel(1);
    let mut config = platform.config("north");
    config.failpoint = Failpoint::told(listener);
    let scenario = async {
        let mut asked = pin!(asked);
        let mut passed = 0;
        loop {
            let point = tokio::select! {
                biased;
                point = reached.recv() => point,
                () = &mut asked => return None,
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
