//! A router ends, or another takes its place, and nobody notices.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::load::http_2::{Connection, Outcome};
use crate::load::{self, Doors, Tally};
use crate::site::Site;
use crate::tls::with_tls;
use crate::world::{Is, World};

#[tokio::test]
async fn an_upgrade_under_load_fails_no_request() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let mut world = with_tls(&authority, &format!(", {}", load::ALLOWED), &site).await;
    let (doors, stop) = (Doors::of(&world, &authority), CancellationToken::new());
    let (tally, ended) = tokio::join!(load::run(doors, stop.clone()), async {
        site.saw_more(200).await;
        let ended = world.replace_router().await;
        site.saw_more(200).await;
        stop.cancel();
        ended
    });
    each_had_its_answer(&tally, &site);
    assert!(tally.closed > 0, "kept connections are told to end");
    assert!(tally.sent_away > 0, "and so are those of HTTP/2");
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_router_that_is_stopped_under_load_leaves_all_to_the_other() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let mut world = with_tls(&authority, &format!(", {}", load::ALLOWED), &site).await;
    world.start_second_router().await;
    let (doors, stop) = (Doors::of(&world, &authority), CancellationToken::new());
    let (tally, ended) = tokio::join!(load::run(doors, stop.clone()), async {
        site.saw_more(200).await;
        let ended = world.stop_router().await;
        site.saw_more(200).await;
        stop.cancel();
        ended
    });
    each_had_its_answer(&tally, &site);
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn what_is_under_way_by_http_2_is_answered_by_a_router_that_is_stopped() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let mut world = with_tls(&authority, "", &site).await;
    let connection = Connection::open(&Doors::of(&world, &authority)).await.unwrap();
    site.shut();
    let asking = join_all([Method::GET, Method::POST].map(|method| connection.ask(method)));
    let (outcomes, ended, ()) = tokio::join!(
        asking,
        async {
            site.saw_more(2).await;
            world.stop_router().await
        },
        async {
            connection.sent_away().await;
            site.open();
        }
    );
    assert_eq!(outcomes, [Outcome::Answered, Outcome::Answered]);
    assert!(ended.success(), "{ended}");
}

/// None failed, and none had to be asked of the site twice for it.
#[track_caller]
fn each_had_its_answer(tally: &Tally, site: &Site) {
    assert_eq!(tally.failures, [""; 0], "of {} requests", tally.answered);
    let seen = site.seen();
    assert_eq!(seen.len(), tally.answered);
    let (posts, gets): (Vec<_>, Vec<_>) =
        seen.iter().partition(|seen| seen.line.starts_with("POST "));
    assert!(!gets.is_empty() && !posts.is_empty());
    assert!(posts.iter().all(|post| post.body == load::BODY), "with their bodies whole");
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
