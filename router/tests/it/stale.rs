//! Reads that a standby answers with what it has heard of.

use std::net::{SocketAddr, TcpListener};

use http::{Method, StatusCode};

use crate::client::code;
use crate::site::{Act, Site};
use crate::world::{Is, World};

const MAX_STALE: &[(&str, &str)] = &[("cache-control", "max-stale")];

#[tokio::test]
async fn a_read_that_may_be_old_does_not_wait_for_an_active_site() {
    let (east, north, south) = (site([Act::NotServing]), site([Act::Stale]), site([]));
    let mut world = World::start().await;
    let sites = [east.address, north.address, south.address];
    world.publish_sites(8, &Is::Electing, sites).await;
    let answer = world.client().ask(Method::GET, MAX_STALE, "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, b"old\n".as_slice()));
    assert_eq!(answer.headers["x-bulkhead-stale"], "4");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-bulkhead-region"], "north");
    let seen = &north.seen()[0].headers;
    assert_eq!((&*seen["x-bulkhead-stale-ok"], &*seen["x-bulkhead-user"]), ("1", "ada"));
    assert_eq!((east.seen().len(), south.seen().len()), (1, 0));
    let stale = "router_upstream_attempts_total{cell=\"c1\",outcome=\"stale\"}";
    world.eventually_counts(stale, 1.0).await;
    let route = world.explain().await.unwrap();
    assert_eq!(route["stale_reads"], serde_json::json!(["c1@east", "c1@north", "c1@south"]));
}

#[tokio::test]
async fn a_read_that_may_be_old_goes_to_a_standby_when_the_active_site_is_not_reached() {
    let (north, south) = (site([Act::HangUp, Act::Stale]), site([Act::Stale]));
    let mut world = World::start().await;
    let sites = [nobody(), north.address, south.address];
    world.publish_sites(7, &Is::ActiveIn("east"), sites).await;
    let answer = world.client().ask(Method::GET, MAX_STALE, "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, b"old\n".as_slice()));
    assert_eq!(answer.headers["x-bulkhead-region"], "south");
    // The write waits, and goes nowhere but to the active site.
    let client = world.client();
    let (written, ()) = tokio::join!(client.ask(Method::POST, MAX_STALE, "hello"), async {
        world.held(1.0).await;
        world.publish_sites(8, &Is::ActiveIn("north"), sites).await;
    });
    assert_eq!(written.status, StatusCode::OK);
    assert_eq!(written.headers["x-bulkhead-region"], "north");
    assert_eq!(south.seen().len(), 1);
}

#[tokio::test]
async fn a_read_goes_to_the_active_site_while_there_is_one() {
    let (east, north) = (site([]), site([Act::Stale]));
    let mut world = World::start().await;
    let sites = [east.address, north.address, north.address];
    world.publish_sites(7, &Is::ActiveIn("east"), sites).await;
    // What a client says about it is not passed on.
    let forged = [("cache-control", "max-stale"), ("x-bulkhead-stale-ok", "1")];
    let answer = world.client().ask(Method::GET, &forged, "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, b"ok\n".as_slice()));
    assert!(!answer.headers.contains_key("x-bulkhead-stale"));
    assert!(!east.seen()[0].headers.contains_key("x-bulkhead-stale-ok"));
    assert!(north.seen().is_empty());
}

#[tokio::test]
async fn any_read_is_answered_by_a_standby_when_it_has_waited_in_vain() {
    let north = site([Act::NotServing, Act::Stale, Act::Stale]);
    let south = site([Act::StaySilent; 8]);
    let mut world = World::start().await;
    let sites = [nobody(), north.address, south.address];
    world.publish_sites(8, &Is::Electing, sites).await;
    let client = world.client();
    let never = [("cache-control", "no-cache")];
    let young = [("cache-control", "max-stale=3")];
    // The one that is told nothing of old answers; one that will have none; one that wants a
    // younger one than there is.
    let (any, never, young) = tokio::join!(
        client.ask(Method::GET, &[], ""),
        client.ask(Method::GET, &never, ""),
        client.ask(Method::GET, &young, ""),
    );
    assert_eq!((any.status, &any.body[..]), (StatusCode::OK, b"old\n".as_slice()));
    assert_eq!(any.headers["x-bulkhead-stale"], "4");
    for refused in [never, young] {
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(code(&refused), "hold-timeout");
    }
}

fn site<const N: usize>(script: [Act; N]) -> Site {
    Site::start(script)
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
