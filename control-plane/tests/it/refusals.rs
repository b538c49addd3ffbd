//! Refusals that take a moment to be brought about: each is provoked once, of a real control plane.

use runtime::Tasks;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use topology::snapshot::RoutedCell;

use crate::platform::{LIMIT, Platform};

const TO_SOUTH: &str = r#"{"to": "south"}"#;
const FREEZE: &str = r#"{"frozen": true, "reason": "nothing shall move by itself"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sites_say_stands_in_a_moves_way() {
    Platform::run(&["south"], async |platform| {
        platform.until_known("south").await;
        let [east, north, south] =
            ["east", "north", "south"].map(|region| platform.agent(region).clone());
        south.told(|south| south.ill = true);
        platform.until_site("south", "c1@south", ("postgres", json!("starting"))).await;
        refused(platform.switchover("south", TO_SOUTH).await, "target-lagging");
        south.told(|south| south.ill = false);
        platform.until_site("south", "c1@south", ("postgres", json!("standby"))).await;

        // One of two voters alone elects nobody.
        north.told(|north| north.unwilling = true);
        east.told(|east| east.dead = true);
        platform.until_site("south", "c1@east", ("reachable", json!(false))).await;
        refused(platform.switchover("south", TO_SOUTH).await, "active-unreachable");
        refused(platform.failover("south", r#"{"to": "west"}"#).await, "not-a-site");
        north.told(|north| north.lsn = 1300);
        platform.until_site("south", "c1@north", ("lsn", json!(1300))).await;
        refused(platform.failover("south", TO_SOUTH).await, "target-behind");

        // What north turns out to have once it is frozen, it has not told before.
        freeze(platform).await;
        let why = "everything is frozen";
        let holds = platform.until(async || {
            let cell = platform.get("south", "/v1/cells/c1").await.unwrap();
            cell["frozen"]["why"].as_str().is_some_and(|told| told.contains(why))
        });
        assert!(holds.await, "the freeze is not seen");
        north.told(|north| (north.unwilling, north.lsn, north.unreplayed) = (false, 1000, 300));
        platform.until_site("south", "c1@north", ("lsn", json!(1000))).await;
        refused(platform.failover("south", TO_SOUTH).await, "other-promoted");
        platform.until_serving("north").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_going_on_is_found_overtaken_or_cut_short() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let east = platform.agent("east").clone();
        let prepares = async |times| {
            let asked = platform.until(async || east.told(|east| east.prepares >= times));
            assert!(asked.await, "the active site is not asked to get ready");
        };
        let key = [("idempotency-key", "a-move")];
        let asked = async || {
            let path = "/v1/cells/c1/switchover";
            platform.write_with("north", "POST", path, TO_SOUTH, &key).await
        };
        east.told(|east| east.is_slow_to_prepare = true);
        let meanwhile = async {
            prepares(1).await;
            refused(asked().await, "outcome-pending");
            platform.write(|cell| said_anew(cell, "somebody else was here")).await;
            east.told(|east| east.is_slow_to_prepare = false);
        };
        let (first, ()) = tokio::join!(asked(), meanwhile);
        refused(first, "overtaken");

        // South's control plane is stopped before east is ready.
        east.told(|east| east.is_slow_to_prepare = true);
        let (known, is_known) = oneshot::channel();
        let mut tasks = Tasks::default();
        platform.control_plane(&mut tasks, "south");
        let life = tasks.run(
            async {
                platform.until_known("south").await;
                known.send(()).unwrap();
                prepares(2).await;
            },
            LIMIT,
        );
        let ask = async {
            is_known.await.unwrap();
            platform.switchover("south", TO_SOUTH).await
        };
        let (ended, (status, problem)) = tokio::join!(life, ask);
        ended.unwrap();
        assert_eq!((status, &problem["code"]), (503, &json!("stopping")), "{problem}");
        east.told(|east| east.is_slow_to_prepare = false);
    })
    .await;
}

/// Their bounds are seconds, and run beside each other.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_to_an_end_is_answered_all_the_same() {
    let small = |text: String| text.replace("name: North", "name: North, capacity: 1");
    Platform::prepare_spec(&["east"; 3], small)
        .start(&["south"], async |platform| {
            platform.until_active("south", &["east"; 3]).await;
            let to_north = r#"{"to": "north"}"#;
            refused(platform.switchover("south", to_north).await, "no-headroom");

            platform.agent_at("c3@south").told(|south| south.opens_nothing = true);
            let unfinished = async {
                let moved = platform.post("south", "/v1/cells/c3/switchover", TO_SOUTH).await;
                refused(moved, "switchover-unfinished");
            };
            let others = async {
                let promoting = platform.until(async || {
                    let cell = platform.get("south", "/v1/cells/c3").await.unwrap();
                    cell["phase"] == "promoting"
                });
                assert!(promoting.await, "c3 is not promoted");
                let moved = platform.post("south", "/v1/cells/c3/switchover", TO_SOUTH).await;
                refused(moved, "not-steady");
                freeze(platform).await;
                tokio::join!(nobody_to_promote(platform), still_electing(platform));
            };
            tokio::join!(unfinished, others);
        })
        .await;
}

async fn nobody_to_promote(platform: &Platform) {
    for site in ["c1@east", "c1@north", "c1@south"] {
        platform.agent_at(site).told(|agent| agent.dead = true);
        platform.until_site("south", site, ("reachable", json!(false))).await;
    }
    let force = r#"{"accept_data_loss": true, "reason": "all have burnt down"}"#;
    refused(platform.failover("south", force).await, "nobody-to-promote");
}

async fn still_electing(platform: &Platform) {
    for site in ["c2@north", "c2@south"] {
        platform.agent_at(site).told(|agent| agent.unwilling_in_earnest = true);
    }
    platform.agent_at("c2@east").told(|east| east.dead = true);
    platform.until_site("south", "c2@east", ("reachable", json!(false))).await;
    let asked = platform.post("south", "/v1/cells/c2/failover", "{}").await;
    let cancel = format!("/v1/operations/{}/cancel", asked.1["operation"].as_str().unwrap());
    refused(asked, "still-electing");
    refused(platform.post("south", &cancel, "{}").await, "too-late-to-cancel");
}

async fn freeze(platform: &Platform) {
    let (status, frozen) = platform.write_with("south", "PUT", "/v1/freeze", FREEZE, &[]).await;
    assert_eq!(status, 200, "{frozen}");
}

fn said_anew(cell: &RoutedCell, reason: &str) -> RoutedCell {
    let mut cell = cell.clone();
    reason.clone_into(&mut cell.activation.reason);
    cell
}

#[track_caller]
fn refused((status, problem): (u16, Value), code: &str) {
    assert_eq!((status, &problem["code"]), (409, &json!(code)), "{problem}");
}
