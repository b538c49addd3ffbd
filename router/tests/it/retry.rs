//! Requests that were sent and lost.

use futures_util::future::join_all;
use http::{Method, StatusCode};

use crate::client::code;
use crate::site::{Act, Site};
use crate::world::{Is, World};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k-1")];

#[tokio::test]
async fn a_post_without_a_key_that_was_lost_has_an_unknown_outcome() {
    let site = Site::start([Act::HangUp]);
    let world = World::with_site(site.address).await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&answer), "outcome-unknown");
    assert_eq!(answer.headers["x-bulkhead-outcome"], "unknown");
    assert_eq!(site.seen().len(), 1);
}

#[tokio::test]
async fn a_post_with_a_key_that_was_lost_is_sent_once_more_and_has_one_effect() {
    let site = Site::start([Act::HangUp]);
    let world = World::with_site(site.address).await;
    let answer = world.client().ask(Method::POST, &KEY, "hello").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen().len(), 2);
    assert_eq!(site.effects(), 1);
    assert_eq!(site.seen()[1].body, b"hello");
}

#[tokio::test]
async fn a_get_that_was_lost_is_sent_again() {
    let site = Site::start([Act::HangUp]);
    let world = World::with_site(site.address).await;
    let answer = world.client().ask(Method::GET, &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen().len(), 2);
}

#[tokio::test]
async fn lost_requests_are_repeated_within_the_cells_budget_and_all_under_a_later_epoch() {
    const ASKING: usize = 30;
    const BUDGET: usize = 100;
    let failing = Site::start(std::iter::repeat_n(Act::HangUp, 1000));
    let next = Site::start([]);
    let mut world = World::with_site(failing.address).await;
    let client = world.client();
    let asking = join_all((0..ASKING).map(|_| client.ask(Method::GET, &[], "")));
    let (answers, ()) = tokio::join!(asking, async {
        world
            .eventually("the budget is spent", async || {
                let spent =
                    world.metric("router_retries_total{cell=\"c1\",outcome=\"over-budget\"}");
                spent.await.filter(|count| *count > 0.0)
            })
            .await;
        world.publish(8, &Is::ActiveIn("north"), next.address).await;
    });
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    // Thirty new requests have earned three more at most.
    let sent = failing.seen().len();
    assert!((ASKING..=ASKING + BUDGET + 3).contains(&sent), "{sent} were sent");
    let repeated = world.metric("router_retries_total{cell=\"c1\",outcome=\"sent\"}").await;
    assert!(repeated.is_some_and(|count| (100.0..=103.0).contains(&count)), "{repeated:?}");
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_with_a_key_and_told_without() {
    let site = Site::start([Act::OutcomeUnknown, Act::Answer, Act::OutcomeUnknown]);
    let world = World::with_site(site.address).await;
    let keyed = world.client().ask(Method::POST, &KEY, "hello").await;
    assert_eq!((keyed.status, site.seen().len()), (StatusCode::OK, 2));
    let unkeyed = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(unkeyed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(unkeyed.headers["x-bulkhead-outcome"], "unknown");
    assert_eq!(site.seen().len(), 3);
}

#[tokio::test]
async fn a_refusal_of_a_second_try_does_not_say_that_the_first_had_no_effect() {
    let site = Site::start([Act::HangUp, Act::Shed, Act::Shed]);
    let world = World::with_site(site.address).await;
    let second = world.client().ask(Method::POST, &KEY, "hello").await;
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(second.headers["x-bulkhead-outcome"], "unknown");
    assert_eq!((site.seen().len(), site.effects()), (2, 1));
    let first = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(first.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!first.headers.contains_key("x-bulkhead-outcome"));
}

#[tokio::test]
async fn a_silent_site_is_left_as_soon_as_a_later_epoch_is_served_elsewhere() {
    let silent = Site::start([Act::StaySilent]);
    let next = Site::start([]);
    let mut world = World::with_site(silent.address).await;
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask(Method::POST, &KEY, "hello"), async {
        world.eventually("the site has the request", async || silent.seen().pop()).await;
        world.publish(8, &Is::Electing, next.address).await;
        world.publish(9, &Is::ActiveIn("north"), next.address).await;
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-bulkhead-region"], "north");
    assert_eq!((silent.seen().len(), next.seen().len()), (1, 1));
    assert_eq!(next.seen()[0].body, b"hello");
}
