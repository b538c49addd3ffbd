//! Whoever moves a lost cell dies: one that was asked to, and one that does so by itself.

use std::future::pending;

use control_plane::app;
use serde_json::json;

use super::{at, begun_last, dies};
use crate::operations::until_ended;
use crate::platform::Platform;

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
async fn a_failover_whose_control_plane_dies_is_brought_to_its_end_by_another() {
    Platform::prepare()
        .start(&["south"], async |platform| {
            for point in ["written down", "electing", "promoted"] {
                let asked = async {
                    platform.until_active("north", &["east"]).await;
                    // Nothing but what is asked for moves the cell then.
                    freeze(platform, true, &["north", "south"]).await;
                    lose(platform, &["east"]);
                    for vantage in ["north", "south"] {
                        platform.until_site(vantage, "c1@east", ("reachable", json!(false))).await;
                    }
                    let (status, done) = platform.failover("north", "{}").await;
                    assert_eq!(status, 200, "{done}");
                };
                let died = dies(platform, async |name| name == point, asked).await;
                assert_eq!(died, Some(point));
                let ended = until_ended(platform, "south", &begun_last(platform).await).await;
                assert_eq!(ended["status"], "done", "died at {point}: {ended}");
                let winner = until_away(platform).await;
                assert_eq!(ended["waves"][0][0]["to"], winner, "died at {point}: {ended}");
                regain(platform, &["east"]);
                freeze(platform, false, &["south"]).await;
                bring_home(platform).await;
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_whose_control_plane_dies_is_brought_to_its_end_by_another() {
    Platform::prepare()
        .start(&[], async |platform| {
            for (point, elected_again) in [("electing", true), ("promoted", false)] {
                let lost = async {
                    platform.until_active("north", &["east"]).await;
                    lose(platform, &["east"]);
                    until_away(platform).await;
                };
                let died = Box::pin(dies(platform, async |name| name == point, lost)).await;
                assert_eq!(died, Some(point));
                let left = platform.cell().await.unwrap().activation;
                let goes_on = async {
                    let winner = until_away(platform).await;
                    let cell = platform.cell().await.unwrap().activation;
                    assert_eq!(cell.epoch > left.epoch, elected_again, "{left}, then {cell}");
                    if let Some(promoted) = left.holder() {
                        assert_eq!(promoted.as_str(), winner, "{left}, then {cell}");
                    }
                    regain(platform, &["east"]);
                    bring_home(platform).await;
                };
                tokio::select! {
                    ended = app::serve(platform.config("south"), pending()) => {
                        panic!("it ended by itself: {ended:?}")
                    }
                    () = goes_on => {}
                }
            }
        })
        .await;
}

/// Every second point of a failover that nobody could vote for, from the first of these on.
async fn walk_failover(first: usize) {
    Platform::prepare()
        .start(&["south"], async |platform| {
            let mut died = Vec::new();
            for point in (first..).step_by(2) {
                let Some(name) = dies_failing_over(platform, point).await else { break };
                died.push(name);
                let ended = until_ended(platform, "south", &begun_last(platform).await).await;
                assert_eq!(ended["status"], "done", "died at {point}, {name}: {ended}");
                assert_eq!(ended["waves"][0][0]["to"], "south", "{ended}");
                platform.until_serving("south").await;
                regain(platform, &["east", "north"]);
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

/// Kills the executor of a failover at the point with this number. Returns its name, or `None` if the failover
/// has ended before.
async fn dies_failing_over(platform: &Platform, number: usize) -> Option<&'static str> {
    let asked = async {
        platform.until_active("north", &["east"]).await;
        lose(platform, &["east", "north"]);
        for site in ["c1@east", "c1@north"] {
            platform.until_site("north", site, ("reachable", json!(false))).await;
            platform.until_site("south", site, ("reachable", json!(false))).await;
        }
        let body = r#"{"accept_data_loss": true, "reason": "east and north have burnt down"}"#;
        let (status, done) = platform.post("north", "/v1/cells/c1/failover", body).await;
        assert_eq!((status, &done["to"]), (200, &json!("south")), "{done}");
    };
    dies(platform, at(number), asked).await
}

/// The sites in these regions die.
pub(super) fn lose(platform: &Platform, regions: &[&str]) {
    for region in regions {
        platform.agent(region).told(|agent| agent.dead = true);
    }
}

/// They come back.
fn regain(platform: &Platform, regions: &[&str]) {
    for region in regions {
        platform.agent(region).told(|agent| agent.dead = false);
    }
}

/// Waits until another site than that at home serves, and returns where.
async fn until_away(platform: &Platform) -> String {
    let mut serving = None;
    let away = platform.until(async || {
        let cell = platform.cell().await;
        serving = cell.and_then(|cell| cell.activation.serving().map(ToString::to_string));
        serving.as_deref().is_some_and(|region| region != "east")
    });
    assert!(away.await, "nobody takes over: {serving:?}");
    serving.unwrap()
}

async fn bring_home(platform: &Platform) {
    platform.until_known("south").await;
    let (status, back) = platform.switchover("south", r#"{"to": "east"}"#).await;
    assert_eq!(status, 200, "{back}");
    platform.until_known("south").await;
}

/// Freezes everything, or lifts that, and waits until the control planes in these regions know.
async fn freeze(platform: &Platform, frozen: bool, vantages: &[&str]) {
    let body = json!({ "frozen": frozen, "reason": "a test asks" }).to_string();
    let (status, said) = platform.write_with("south", "PUT", "/v1/freeze", &body, &[]).await;
    assert_eq!((status, &said["frozen"]), (200, &json!(frozen)), "{said}");
    for vantage in vantages {
        let known = platform.until(async || {
            let standing = platform.get(vantage, "/v1/freeze").await;
            standing.is_some_and(|standing| standing["frozen"] == frozen)
        });
        assert!(known.await, "{vantage} does not know of it");
    }
}
