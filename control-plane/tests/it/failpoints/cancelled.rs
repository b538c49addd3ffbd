//! What is cancelled between two of its steps: what goes on then is brought to its end, and nothing else
//! begins.

use std::pin::pin;

use control_plane::failpoint::Reached;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use topology::wire::cell::CellRecord;
use topology::wire::key;

use super::losses::lose;
use super::{SWITCHOVER, begun_last, held, let_all_go_on, with_failpoints};
use crate::operations::{DRAIN, EVACUATE, RESTORE, UNDRAIN, steps, until_ended};
use crate::platform::Platform;
use crate::sites::{ADD, RETIRE, sites};

const HOMES: [&str; 2] = ["east", "east"];
const AWAY: [&str; 2] = ["north", "south"];

#[tokio::test(flavor = "multi_thread")]
async fn an_evacuation_that_is_cancelled_in_any_wave_leaves_what_has_moved_and_no_mark() {
    with_held(&HOMES, async |platform, reached| {
        platform.until_active("north", &HOMES).await;
        for (wave, moved, left) in
            [(0, [0, 0], HOMES), (1, [1, 0], ["north", "east"]), (2, [1, 1], AWAY)]
        {
            let before = epochs(platform).await;
            let ended = cancel_in_wave(platform, reached, EVACUATE, wave).await;
            let begun = &["drain east", "move c1 north", "move c2 south"][..=wave];
            let mut done_and_undone = begun.to_vec();
            done_and_undone.push("undrain east");
            assert_eq!(steps(&ended), done_and_undone, "{ended}");
            moved_once(platform, &before, moved).await;
            until_nothing_is_drained(platform).await;
            platform.until_active("north", &left).await;
            if moved != [1, 1] {
                let back = done(platform, reached, RESTORE).await;
                assert_eq!(back["status"], "done", "{back}");
                platform.until_active("north", &HOMES).await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_cancelled_in_any_wave_leaves_what_has_come_home_and_a_target() {
    with_held(&HOMES, async |platform, reached| {
        platform.until_active("north", &HOMES).await;
        for (wave, moved, left) in
            [(0, [0, 0], AWAY), (1, [1, 0], ["east", "south"]), (2, [1, 1], HOMES)]
        {
            let emptied = done(platform, reached, EVACUATE).await;
            assert_eq!(emptied["status"], "done", "{emptied}");
            platform.until_active("north", &AWAY).await;
            let before = epochs(platform).await;
            let ended = cancel_in_wave(platform, reached, RESTORE, wave).await;
            let begun = &["undrain east", "move c1 east", "move c2 east"][..=wave];
            assert_eq!(steps(&ended), begun, "{ended}");
            moved_once(platform, &before, moved).await;
            until_nothing_is_drained(platform).await;
            platform.until_active("north", &left).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_cancelled_is_not_set_or_is_taken_back_and_one_that_is_gone_stays_so() {
    with_held(&["east"], async |platform, reached| {
        platform.until_known("north").await;
        let told = |operation: &Value| (operation["status"].clone(), steps(operation));
        let cancelled = json!("cancelled");

        // Before anybody has begun it.
        let ended = cancel_at(platform, reached, DRAIN, "before a write").await;
        assert_eq!(told(&ended), (cancelled.clone(), vec![]), "{ended}");
        assert_eq!(ended["waves"][0][0]["why"], "cancelled", "{ended}");
        let ended = cancel_at(platform, reached, DRAIN, "after a mark").await;
        let both = ["drain east", "undrain east"].map(str::to_owned).to_vec();
        assert_eq!(told(&ended), (cancelled.clone(), both), "{ended}");

        assert_eq!(done(platform, reached, DRAIN).await["status"], "done");
        let ended = cancel_at(platform, reached, UNDRAIN, "before a write").await;
        assert_eq!(told(&ended), (cancelled.clone(), vec![]), "{ended}");
        let ended = cancel_at(platform, reached, UNDRAIN, "after a mark").await;
        assert_eq!(told(&ended), (cancelled, vec!["undrain east".to_owned()]), "{ended}");
        until_nothing_is_drained(platform).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_does_not_get_in_is_kept_out_again_when_that_is_cancelled() {
    with_held(&["east"], async |platform, reached| {
        platform.until_known("north").await;
        assert_eq!(done(platform, reached, RETIRE).await["status"], "done");
        platform.agent("east").told(|agent| agent.holds_its_voters = true);
        let ended = cancel_at(platform, reached, ADD, "after a mark").await;
        assert_eq!(ended["status"], "cancelled", "{ended}");
        assert_eq!(ended["waves"][0][0]["why"], "cancelled: it does not vote yet", "{ended}");
        assert_eq!(steps(&ended), ["retire c1 south"], "{ended}");
        platform.until_known("south").await;
        assert_eq!(sites(platform).await, "east active, north standby votes, south retired");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_moves_already_is_not_stopped_and_one_that_is_about_to_arrives() {
    with_held(&["east"], async |platform, reached| {
        platform.until_known("north").await;
        for (point, to, expected) in [
            ("written down", "north", (200, Value::Null)),
            ("announced", "east", (409, json!("too-late-to-cancel"))),
        ] {
            let body = json!({ "to": to }).to_string();
            let mut asked = pin!(platform.post("north", SWITCHOVER, &body));
            let (_, go_on) = held(reached, async |name| name == point, &mut asked).await;
            let (status, said) = cancel(platform).await;
            assert_eq!((status, said["code"].clone()), expected, "{said}");
            go_on.send(()).unwrap();
            let (status, moved) = let_all_go_on(reached, asked).await;
            assert_eq!((status, &moved["to"]), (200, &json!(to)), "{moved}");
            let ended = until_ended(platform, "south", &begun_last(platform).await).await;
            assert_eq!(ended["status"], "done", "{ended}");
            platform.until_active("north", &[to]).await;
            platform.until_active("south", &[to]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_whose_winner_is_settled_is_not_stopped() {
    with_held(&["east"], async |platform, reached| {
        platform.until_known("north").await;
        lose(platform, &["east", "north"]);
        for site in ["c1@east", "c1@north"] {
            platform.until_site("north", site, ("reachable", json!(false))).await;
        }
        let body = r#"{"accept_data_loss": true, "reason": "east and north have burnt down"}"#;
        let mut asked = pin!(platform.failover("north", body));
        let (_, go_on) = held(reached, async |name| name == "promoted", &mut asked).await;
        let (status, said) = cancel(platform).await;
        assert_eq!((status, &said["code"]), (409, &json!("too-late-to-cancel")), "{said}");
        go_on.send(()).unwrap();
        let (status, done) = let_all_go_on(reached, asked).await;
        assert_eq!((status, &done["to"]), (200, &json!("south")), "{done}");
        let ended = until_ended(platform, "south", &begun_last(platform).await).await;
        assert_eq!(ended["status"], "done", "{ended}");
    })
    .await;
}

/// Runs a control plane in south, and one in north that goes no further than a test lets it.
async fn with_held<F>(homes: &[&str], test: F)
where
    F: AsyncFnOnce(&Platform, &mut mpsc::Receiver<Reached>),
{
    Platform::prepare_cells(homes)
        .start(&["south"], async |platform| {
            with_failpoints(platform, async |reached| {
                platform.until_active("south", homes).await;
                test(platform, reached).await;
            })
            .await;
        })
        .await;
}

/// Cancels what was begun last, at another control plane than that which executes it.
async fn cancel(platform: &Platform) -> (u16, Value) {
    let id = begun_last(platform).await["id"].as_str().unwrap().to_owned();
    platform.post("south", &format!("/v1/operations/{id}/cancel"), "{}").await
}

/// Has something done by the control plane in north, and returns what became of it.
async fn done(platform: &Platform, reached: &mut mpsc::Receiver<Reached>, asked: &str) -> Value {
    let (status, begun) = platform.post("north", asked, "{}").await;
    assert_eq!(status, 202, "{begun}");
    let_all_go_on(reached, until_ended(platform, "south", &begun)).await
}

/// The same, cancelled when it comes to a point for the first time.
async fn cancel_at(
    platform: &Platform,
    reached: &mut mpsc::Receiver<Reached>,
    asked: &str,
    point: &str,
) -> Value {
    cancel_once(platform, reached, asked, async |name| name == point).await
}

/// The same, cancelled when its record says that the wave with this number goes on.
async fn cancel_in_wave(
    platform: &Platform,
    reached: &mut mpsc::Receiver<Reached>,
    asked: &str,
    wave: usize,
) -> Value {
    let goes_on = async |name: &str| {
        name == "after a write" && begun_last(platform).await["waves"][wave][0]["state"] == "going"
    };
    cancel_once(platform, reached, asked, goes_on).await
}

async fn cancel_once(
    platform: &Platform,
    reached: &mut mpsc::Receiver<Reached>,
    asked: &str,
    is_meant: impl AsyncFnMut(&'static str) -> bool,
) -> Value {
    let (status, begun) = platform.post("north", asked, "{}").await;
    assert_eq!(status, 202, "{begun}");
    let ends = until_ended(platform, "south", &begun);
    let (_, go_on) = held(reached, is_meant, ends).await;
    let (status, said) = cancel(platform).await;
    assert_eq!((status, &said["cancelled_by"]), (200, &json!("ada")), "{said}");
    go_on.send(()).unwrap();
    let ended = let_all_go_on(reached, until_ended(platform, "south", &begun)).await;
    assert_eq!((&ended["status"], &ended["cancelled_by"]), (&json!("cancelled"), &json!("ada")));
    ended
}

/// Waits until no region is drained, as both control planes see it: that an operation has ended may be seen in
/// south before its last mark is seen in north.
async fn until_nothing_is_drained(platform: &Platform) {
    for vantage in ["north", "south"] {
        let mut last = Value::Null;
        let undrained = platform.until(async || {
            let Some(regions) = platform.get(vantage, "/v1/regions").await else { return false };
            last = regions["data"].clone();
            last.as_array().unwrap().iter().all(|region| region["drained"] == json!(false))
        });
        assert!(undrained.await, "something is drained, seen from {vantage}: {last}");
    }
}

/// Epochs of the cells, as stored.
async fn epochs(platform: &Platform) -> Vec<u64> {
    let stored = platform.client.read(&[key::CELLS]).await.unwrap();
    let records = stored.iter().map(|entry| serde_json::from_slice(&entry.value).unwrap());
    records.map(|record: CellRecord| record.epoch).collect()
}

/// Asserts that each cell has been moved as often as that since, each time by one switch and one promotion.
async fn moved_once(platform: &Platform, before: &[u64], moved: [u64; 2]) {
    let expected: Vec<u64> =
        before.iter().zip(moved).map(|(epoch, times)| epoch + 2 * times).collect();
    assert_eq!(epochs(platform).await, expected, "from {before:?}");
}
