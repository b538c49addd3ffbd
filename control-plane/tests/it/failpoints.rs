//! The executor of an operation is killed between any two of its steps, and another control plane
//! brings it to its end.

mod cancelled;
mod losses;

use std::fmt::Debug;
use std::future::pending;
use std::pin::pin;

use control_plane::app;
use control_plane::failpoint::{Failpoint, Reached};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use topology::Phase;

use crate::operations::{DRAIN, EVACUATE, RESTORE, UNDRAIN, steps, until_ended};
use crate::platform::Platform;
use crate::sites::{ADD, RETIRE};

const SWITCHOVER: &str = "/v1/cells/c1/switchover";

/// What is asked for, and what takes it back.
struct Pair {
    there: &'static str,
    back: &'static str,
    /// What stands between the two.
    left: &'static str,
    /// Points of each, but for the last ones: those are after the write which ends it, and whether it is seen
    /// to have ended before is a matter of moments.
    certain: usize,
}

const REGION: Pair =
    Pair { there: EVACUATE, back: RESTORE, left: "away, east drained", certain: 11 };
const MARK: Pair = Pair { there: DRAIN, back: UNDRAIN, left: "at home, east drained", certain: 4 };
const SITE: Pair = Pair { there: RETIRE, back: ADD, left: "at home, south retired", certain: 4 };

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_a_first_third_of_the_points_is_followed_by_another() {
    walk(&REGION, 0, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_a_second_third_of_the_points_is_followed_by_another() {
    walk(&REGION, 1, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_the_last_third_of_the_points_is_followed_by_another() {
    walk(&REGION, 2, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_a_region_is_marked_is_followed_by_another() {
    walk(&MARK, 0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_another_point_while_a_region_is_marked_is_followed_by_another() {
    walk(&MARK, 1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_a_site_leaves_or_joins_is_followed_by_another() {
    walk(&SITE, 0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_at_another_point_while_a_site_leaves_is_followed_by_another() {
    walk(&SITE, 1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_between_two_waves_moves_only_what_was_not_moved() {
    Platform::prepare_cells(&["east", "east"])
        .start(&["south"], async |platform| {
            let between = async |_: &str| {
                let steps = begun_last(platform).await;
                steps["waves"][1][0]["state"] == "done"
                    && steps["waves"][2][0]["state"] == "waiting"
            };
            platform.until_active("south", &["east", "east"]).await;
            let asked = async {
                platform.until_active("north", &["east", "east"]).await;
                let (status, begun) = platform.post("north", EVACUATE, "{}").await;
                assert_eq!(status, 202, "{begun}");
                until_ended(platform, "south", &begun).await;
            };
            let died = dies(platform, between, asked).await;
            assert!(died.is_some(), "it was never between two waves");
            let moved = platform.cell().await.unwrap().activation;
            assert_ne!(moved.serving().map(ToString::to_string).as_deref(), Some("east"));
            let ended = until_ended(platform, "south", &begun_last(platform).await).await;
            assert_eq!((&ended["status"], &ended["executor"]), (&json!("done"), &json!("south")));
            assert_eq!(steps(&ended), ["drain east", "move c1 north", "move c2 south"]);
            platform.until_active("south", &["north", "south"]).await;
            assert_eq!(platform.cell().await.unwrap().activation.epoch, moved.epoch);
        })
        .await;
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
async fn who_was_asked_goes_on_for_another_that_executes_and_dies() {
    Platform::prepare()
        .start(&["south"], async |platform| {
            platform.until_known("south").await;
            let mut asked = pin!(async {
                platform.until_heard("south", "north").await;
                platform.switchover("south", r#"{"to": "north"}"#).await
            });
            let died = with_failpoints(platform, async |reached| {
                held(reached, async |_| true, &mut asked).await.0
            });
            assert_eq!(died.await, "announced");
            let (status, moved) = asked.await;
            // Interrupted, the cell elects whoever has everything: that may be its old site.
            let is_back = (status, &moved["code"]) == (409, &json!("switchover-aborted"));
            assert!(status == 200 || is_back, "{moved}");
            let ended = until_ended(platform, "south", &begun_last(platform).await).await;
            assert_eq!(ended["executor"], "south", "{ended}");
            assert_ne!(ended["status"], "running", "{ended}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_waits_for_its_write_holds_no_other_up() {
    Platform::prepare_cells(&["east", "north"])
        .start(&[], async |platform| {
            with_failpoints(platform, async |reached| {
                platform.until_active("north", &["east", "north"]).await;
                let (status, drain) = platform.post("north", "/v1/regions/south/drain", "{}").await;
                assert_eq!(status, 202, "{drain}");
                let ends = until_ended(platform, "north", &drain);
                let (point, write) = held(reached, async |_| true, ends).await;
                assert_eq!(point, "before a write");
                let asked = platform.post("north", "/v1/cells/c2/switchover", r#"{"to": "east"}"#);
                let (status, moved) = let_all_go_on(reached, asked).await;
                assert_eq!(status, 200, "{moved}");
                write.send(()).unwrap();
                let ends = until_ended(platform, "north", &drain);
                let ended = let_all_go_on(reached, ends).await;
                assert_eq!(ended["status"], "done", "{ended}");
            })
            .await;
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

/// Every second point of a cell's planned move, from the first of these on.
async fn walk_switchover(first: usize) {
    Platform::prepare()
        .start(&["south"], async |platform| {
            let mut died = Vec::new();
            for point in (first..).step_by(2) {
                let Some(name) = dies_moving(platform, point).await else { break };
                died.push(name);
                let phase = platform.cell().await.unwrap().activation.phase;
                let ended = until_ended(platform, "south", &begun_last(platform).await).await;
                // Interrupted, the cell elects whoever has everything: that may be its old site.
                let elects = matches!(phase, Phase::Switching { .. } | Phase::Electing { .. });
                match ended["status"].as_str() {
                    Some("done") => platform.until_serving("north").await,
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

/// The same as [`dies_at`] for a planned move into the executor's own region, whose answer comes at its end.
async fn dies_moving(platform: &Platform, number: usize) -> Option<&'static str> {
    let asked = async {
        platform.until_active("north", &["east"]).await;
        let body = r#"{"to": "north"}"#;
        let answer =
            platform.call("north", "POST", SWITCHOVER, Some(Platform::token()), body).await;
        assert_eq!(answer.map(|answer| answer.status.as_u16()), Some(200));
    };
    dies(platform, at(number), asked).await
}

/// Kills the executor of what is asked for at every so many points from the first on, and that of what takes
/// it back at the same point, until what is asked for does not come so far.
async fn walk(pair: &Pair, first: usize, every: usize) {
    Platform::prepare()
        .start(&["south"], async |platform| {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            platform.until_known("south").await;
            for point in (first..).step_by(every) {
                let Some(name) = dies_at(platform, point, pair.there, pair.left).await else {
                    break;
                };
                there.push(name);
                back.extend(dies_at(platform, point, pair.back, "at home").await);
            }
            // A heartbeat may have its points besides.
            let certain = pair.certain.saturating_sub(first).div_ceil(every);
            assert!(there.len() >= certain, "{}: {there:?}", pair.there);
            assert!(back.len() >= certain, "{}: {back:?}", pair.back);
        })
        .await;
}

/// Lets the control plane in north execute what is asked for up to the point with this number, kills it
/// there, and waits until another has brought it to its end, and `left` is what stands. Returns the point's
/// name, or `None` if the operation has ended before.
async fn dies_at(
    platform: &Platform,
    number: usize,
    asked: &str,
    left: &str,
) -> Option<&'static str> {
    let begins = async {
        platform.until_known("north").await;
        let (status, begun) = platform.post("north", asked, "{}").await;
        assert_eq!(status, 202, "{begun}");
        until_ended(platform, "south", &begun).await;
    };
    let died = dies(platform, at(number), begins).await;
    let ended = until_ended(platform, "south", &begun_last(platform).await).await;
    assert_eq!(ended["status"], "done", "{asked}, died at {number}, {died:?}: {ended}");
    let mut found = String::new();
    let stands = platform.until(async || {
        found = standing(platform).await;
        found == left
    });
    assert!(stands.await, "{asked}, died at {number}, {died:?}: {left} is expected, not {found}");
    // An old active site follows again.
    platform.until_known("south").await;
    died
}

/// Says where c1 is, and what is drained or retired, as the control plane in south sees it.
async fn standing(platform: &Platform) -> String {
    let cell = platform.get("south", "/v1/cells/c1").await.unwrap();
    let place = if cell["active"] == "east" { "at home" } else { "away" };
    let regions = platform.get("south", "/v1/regions").await.unwrap();
    let regions = regions["data"].as_array().unwrap().iter();
    let drained = regions.filter(|region| region["drained"] == json!(true));
    let drained = drained.map(|region| format!("{} drained", region["id"].as_str().unwrap()));
    let sites = cell["sites"].as_array().unwrap().iter();
    let retired = sites.filter(|site| site["role"] == "retired");
    let retired = retired.map(|site| format!("{} retired", site["region"].as_str().unwrap()));
    let words = std::iter::once(place.to_owned()).chain(drained).chain(retired);
    words.collect::<Vec<_>>().join(", ")
}

/// Returns the operation that was begun last, whether it has ended or not, as it is stored, or nothing.
async fn begun_last(platform: &Platform) -> Value {
    let all = platform.get("south", "/v1/operations").await.unwrap();
    all["data"][0].clone()
}

/// The point with this number.
fn at(number: usize) -> impl AsyncFnMut(&'static str) -> bool {
    let mut passed = 0;
    async move |_name: &'static str| {
        passed += 1;
        passed > number
    }
}

/// Kills the control plane in north at the point that is meant, if what is asked of it comes so far.
async fn dies(
    platform: &Platform,
    is_meant: impl AsyncFnMut(&'static str) -> bool,
    asked: impl Future<Output = ()>,
) -> Option<&'static str> {
    with_failpoints(platform, async |reached| {
        tokio::select! {
            biased;
            (name, _) = passes(reached, is_meant) => Some(name),
            () = asked => None,
        }
    })
    .await
}

/// Stops the control plane in north at the point that is meant, which it must come to before what is asked of
/// it ends.
async fn held<T: Debug>(
    reached: &mut mpsc::Receiver<Reached>,
    is_meant: impl AsyncFnMut(&'static str) -> bool,
    ends: impl Future<Output = T>,
) -> Reached {
    tokio::select! {
        biased;
        held = passes(reached, is_meant) => held,
        ended = ends => panic!("it ended before: {ended:?}"),
    }
}

/// Lets the control plane in north pass every point but the one that is meant.
async fn passes(
    reached: &mut mpsc::Receiver<Reached>,
    mut is_meant: impl AsyncFnMut(&'static str) -> bool,
) -> Reached {
    loop {
        let point = reached.recv().await;
        let (name, go_on) = point.expect("a control plane has failpoints as long as it runs");
        if is_meant(name).await {
            return (name, go_on);
        }
        go_on.send(()).unwrap();
    }
}

/// Runs a control plane in north that stops at every point until it is let go on, as long as a scenario goes
/// on.
async fn with_failpoints<T>(
    platform: &Platform,
    scenario: impl AsyncFnOnce(&mut mpsc::Receiver<Reached>) -> T,
) -> T {
    let (listener, mut reached) = mpsc::channel(1);
    let mut config = platform.config("north");
    config.failpoint = Failpoint::told(listener);
    tokio::select! {
        ended = app::serve(config, pending()) => panic!("it ended by itself: {ended:?}"),
        told = scenario(&mut reached) => told,
    }
}
