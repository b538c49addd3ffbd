//! A router ends, or another takes its place, and nobody notices.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::load;
use crate::site::Site;
use crate::world::{Is, World};

#[tokio::test]
async fn an_upgrade_under_load_fails_no_request() {
    let site = Site::start([]);
    let mut world = World::with_site_and(load::ALLOWED, site.address).await;
    let (edge, stop) = (world.edge(), CancellationToken::new());
    let (tally, ended) = tokio::join!(load::run(edge, stop.clone()), async {
        site.saw_more(200).await;
        let ended = world.replace_router().await;
        site.saw_more(200).await;
        stop.cancel();
        ended
    });
    assert_eq!(tally.failures, [""; 0], "of {} requests", tally.answered);
    assert!(tally.closed > 0, "kept connections are told to end");
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_router_that_is_stopped_under_load_leaves_all_to_the_other() {
    let site = Site::start([]);
    let mut world = World::with_site_and(load::ALLOWED, site.address).await;
    world.start_second_router().await;
    let (edge, stop) = (world.edge(), CancellationToken::new());
    let (tally, ended) = tokio::join!(load::run(edge, stop.clone()), async {
        site.saw_more(200).await;
        let ended = world.stop_router().await;
        site.saw_more(200).await;
        stop.cancel();
        ended
    });
    assert_eq!(tally.failures, [""; 0], "of {} requests", tally.answered);
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_request_that_is_held_is_answered_by_the_router_that_is_replaced() {
    let site = Site::start([]);
    let mut world = World::start().await;
    world.publish(8, &Is::Electing, site.address).await;
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask(Method::POST, &[], "hello"), async {
        world.held(1.0).await;
        world.start_successor();
        world.dismissed().await;
        world.publish(9, &Is::ActiveIn("north"), site.address).await;
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert!(world.predecessor_ended().await.success());
    assert_eq!(site.seen().len(), 1);
}

#[tokio::test]
async fn a_router_without_a_successor_ends_soon_although_a_client_keeps_its_connection() {
    let site = Site::start([]);
    let mut world = World::with_site(site.address).await;
    let _idle = world.client().open(b"").await;
    let ended = tokio::time::timeout(Duration::from_secs(10), world.stop_router()).await;
    assert!(ended.unwrap().success());
}
