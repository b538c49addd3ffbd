//! Requests that wait, and what lets them go.

use futures_util::future::join_all;
use http::{Method, StatusCode};

use crate::client::{code, head, read_until};
use crate::site::{Act, Site};
use crate::world::{Is, World};

#[tokio::test]
async fn a_request_without_an_active_site_waits_for_one() {
    let site = Site::start([]);
    let mut world = World::start().await;
    world.publish(8, &Is::Electing, site.address).await;
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask(Method::POST, &[], "hello"), async {
        world.held(1.0).await;
        world.publish(9, &Is::ActiveIn("north"), site.address).await;
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-bulkhead-region"], "north");
    assert_eq!(answer.headers["x-bulkhead-epoch"], "9");
    assert_eq!(site.seen()[0].body, b"hello");
    let released = "router_hold_seconds_count{cause=\"no-active-site\",outcome=\"released\"}";
    world.eventually_counts(released, 1.0).await;
}

#[tokio::test]
async fn a_request_that_comes_before_the_first_snapshot_waits_for_it() {
    let site = Site::start([]);
    let mut world = World::start().await;
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask(Method::GET, &[], ""), async {
        world.held(1.0).await;
        world.publish(7, &Is::ActiveIn("east"), site.address).await;
    });
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_failover_that_takes_longer_than_a_hold_is_told() {
    let site = Site::start([]);
    let mut world = World::start().await;
    world.publish(8, &Is::Electing, site.address).await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&answer), "hold-timeout");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["x-bulkhead-cell"], "c1");
    assert!(site.seen().is_empty());
    let series = "router_hold_seconds_count{cause=\"no-active-site\",outcome=\"timed-out\"}";
    world.eventually_counts(series, 1.0).await;
    let waited = world
        .metric("router_hold_seconds_sum{cause=\"no-active-site\",outcome=\"timed-out\"}")
        .await;
    // All of its time but what passed before it was found that there is no site.
    assert!(waited.is_some_and(|seconds| seconds > 9.0), "{waited:?}");
}

#[tokio::test]
async fn a_misdirected_request_is_released_by_a_later_epoch_and_not_by_the_same() {
    let site = Site::start([Act::Misdirect]);
    let mut world = World::with_site(site.address).await;
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask(Method::POST, &[], "hello"), async {
        world.held(1.0).await;
        world.publish(7, &Is::ActiveIn("east"), site.address).await;
        world.publish(8, &Is::Electing, site.address).await;
        world.held(1.0).await;
        assert_eq!(site.seen().len(), 1);
        world.publish(9, &Is::ActiveIn("south"), site.address).await;
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-bulkhead-epoch"], "9");
    let epochs: Vec<String> =
        site.seen().iter().map(|seen| seen.headers["x-bulkhead-epoch"].clone()).collect();
    assert_eq!(epochs, ["7", "9"]);
}

#[tokio::test]
async fn a_router_that_has_not_heard_of_a_move_follows_where_a_refusal_points() {
    let (east, north) = (Site::start([Act::PointNorth]), Site::start([]));
    let mut world = World::start().await;
    let sites = [east.address, north.address, north.address];
    world.publish_sites(7, &Is::ActiveIn("east"), sites).await;
    for _ in 0..2 {
        let answer = world.client().ask(Method::POST, &[], "hello").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["x-bulkhead-epoch"], "9");
    }
    // Nobody else has to be told.
    assert_eq!((east.seen().len(), north.seen().len()), (1, 2));
}

#[tokio::test]
async fn a_site_that_does_not_serve_yet_is_asked_again() {
    let site = Site::start([Act::NotServing, Act::NotServing]);
    let world = World::with_site(site.address).await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen().len(), 3);
    assert!(site.seen().iter().all(|seen| seen.body == b"hello"));
}

#[tokio::test]
async fn a_refusal_is_heard_while_the_body_is_still_being_sent() {
    let site = Site::start([Act::RefuseUnread, Act::Answer].into_iter().cycle().take(40));
    let world = World::with_site(site.address).await;
    let body = "a".repeat(60_000);
    for _ in 0..20 {
        let answer = world.client().ask(Method::POST, &[], &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert_eq!((site.seen().len(), site.effects()), (40, 20));
}

#[tokio::test]
async fn a_site_that_restarts_in_place_keeps_its_requests() {
    let stopped = Site::start([]).address.ip();
    let free = std::net::TcpListener::bind((stopped, 0)).unwrap().local_addr().unwrap();
    let world = World::with_site(free).await;
    let client = world.client();
    let (answer, site) = tokio::join!(client.ask(Method::POST, &[], "hello"), async {
        world.held(1.0).await;
        Site::at(free, [])
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let site = Site::start([]);
    let mut world = World::start().await;
    world.publish(8, &Is::Electing, site.address).await;
    let body = head("POST", "content-length: 5\r\n") + "hello";
    let stream = world.client().open(body.as_bytes()).await;
    world.held(1.0).await;
    drop(stream);
    world.held(0.0).await;
    world.publish(9, &Is::ActiveIn("north"), site.address).await;
    let gone = "router_hold_seconds_count{cause=\"no-active-site\",outcome=\"gone\"}";
    world.eventually_counts(gone, 1.0).await;
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn one_request_too_many_is_refused_and_the_others_are_released() {
    let site = Site::start([]);
    let mut world = World::start_with("limits: {held: {requests: 100}}").await;
    world.publish(8, &Is::Electing, site.address).await;
    let client = world.client();
    let request = head("POST", "content-length: 0\r\n");
    let streams = join_all((0..100).map(|_| client.open(request.as_bytes()))).await;
    world.held(100.0).await;
    let answer = client.ask(Method::POST, &[], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&answer), "hold-full");
    assert_eq!(answer.headers["retry-after"], "1");
    let mut refused = client.open(request.as_bytes()).await;
    let refusal = read_until(&mut refused, "hold-full").await.to_lowercase();
    assert!(refusal.contains("connection: close"), "it is closed, and says so: {refusal}");
    world.publish(9, &Is::ActiveIn("north"), site.address).await;
    let answers = join_all(
        streams.into_iter().map(async |mut stream| read_until(&mut stream, "\r\n\r\n").await),
    )
    .await;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")));
    assert_eq!(site.seen().len(), 100);
    for (outcome, count) in [("full", 2.0), ("released", 100.0), ("gone", 0.0), ("stale", 0.0)] {
        let series =
            format!("router_hold_seconds_count{{cause=\"no-active-site\",outcome=\"{outcome}\"}}");
        world.eventually_counts(&series, count).await;
    }
}

#[tokio::test]
async fn the_memory_of_those_that_wait_is_bounded_too() {
    let site = Site::start([]);
    let mut world = World::start_with("limits: {held: {bytes: 30KiB}}").await;
    world.publish(8, &Is::Electing, site.address).await;
    let client = world.client();
    let large = head("POST", &format!("x-large: {}\r\ncontent-length: 0\r\n", "a".repeat(12_000)));
    let _waiting = join_all((0..2).map(|_| client.open(large.as_bytes()))).await;
    world.held(2.0).await;
    let mut refused = client.open(large.as_bytes()).await;
    read_until(&mut refused, "hold-full").await;
    let small = head("POST", "content-length: 0\r\n");
    let _small = client.open(small.as_bytes()).await;
    world.held(3.0).await;
}

#[tokio::test]
async fn five_thousand_requests_held_at_once_are_released_without_hurting_the_new_site() {
    const WAITING: u16 = 5_000;
    const AT_ONCE: usize = 200;
    /// As many as a site gets that has not shown yet what it can bear.
    const AT_FIRST: u16 = 8;
    let site = Site::start([]);
    let mut world = World::start_with(&format!(
        "limits: {{user: {{rate: 100000, burst: 100000}}, requests: {AT_ONCE}}}"
    ))
    .await;
    world.publish(8, &Is::Electing, site.address).await;
    let client = world.client();
    let request = head("GET", "");
    let streams = join_all((0..WAITING).map(|_| client.open(request.as_bytes()))).await;
    world.held(WAITING.into()).await;
    site.shut();
    world.publish(9, &Is::ActiveIn("north"), site.address).await;
    let first = usize::from(AT_FIRST);
    world
        .eventually("the first are under way", async || {
            (site.most_at_once() >= first).then_some(())
        })
        .await;
    // All others wait for its first answer.
    world.held((WAITING - AT_FIRST).into()).await;
    assert_eq!(site.most_at_once(), first);
    site.open();
    let answers = join_all(
        streams.into_iter().map(async |mut stream| read_until(&mut stream, "\r\n\r\n").await),
    )
    .await;
    let served = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200")).count();
    assert_eq!((served, site.seen().len()), (usize::from(WAITING), usize::from(WAITING)));
    assert!(site.most_at_once() <= AT_ONCE, "{} at once", site.most_at_once());
}

#[tokio::test]
async fn a_snapshot_with_the_same_epoch_releases_nothing() {
    let site = Site::start([Act::Misdirect]);
    let mut world = World::with_site(site.address).await;
    let request = head("GET", "");
    let mut stream = world.client().open(request.as_bytes()).await;
    world.held(1.0).await;
    for _ in 0..3 {
        world.publish(7, &Is::ActiveIn("north"), site.address).await;
    }
    assert_eq!((site.seen().len(), world.metric("router_held_requests ").await), (1, Some(1.0)));
    world.publish(8, &Is::ActiveIn("north"), site.address).await;
    read_until(&mut stream, "200 OK").await;
    assert_eq!(site.seen().len(), 2);
}
