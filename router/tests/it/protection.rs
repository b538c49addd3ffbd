//! What one user, one cell or one client may cost the others.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{code, head, head_of, read_until};
use crate::site::{Act, LONG, Site};
use crate::world::{Is, World};

/// Requests at once: far more than a bucket that fills with one a second has while they take.
const MANY: usize = 60;

#[tokio::test]
async fn a_user_who_asks_too_often_is_told_when_to_come_again_and_others_are_served() {
    let site = Site::start([]);
    let limits = "limits: {user: {rate: 1, burst: 3}}";
    let world = World::with_site_and(limits, site.address).await;
    let client = world.client();
    let answers = join_all((0..MANY).map(|_| client.ask(Method::GET, &[], ""))).await;
    let refused: Vec<_> =
        answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!refused.is_empty());
    assert_eq!(site.seen().len() + refused.len(), MANY);
    assert_eq!(code(refused[0]), "user-rate");
    assert_eq!(refused[0].headers["retry-after"], "1");
    assert_eq!(client.ask_as("bob", Method::GET, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_cell_that_is_asked_too_often_is_spared() {
    let site = Site::start([]);
    let limits = "limits: {cell: {rate: 1, burst: 3}}";
    let mut world = World::with_site_and(limits, site.address).await;
    let client = world.client();
    let users: Vec<String> = world.users_of("c1").take(MANY).collect();
    let answers = join_all(users.iter().map(|user| client.ask_as(user, Method::GET, &[]))).await;
    let refused: Vec<_> =
        answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!refused.is_empty());
    assert_eq!(site.seen().len() + refused.len(), MANY);
    assert_eq!(code(refused[0]), "cell-rate");
    world.start_second_router().await;
    world
        .eventually("both routers are counted", async || {
            world.metric("router_live_routers ").await.filter(|live| *live > 1.5)
        })
        .await;
}

#[tokio::test]
async fn a_cell_at_its_share_is_refused_more_and_gets_its_places_back() {
    let site = Site::start([Act::StaySilent, Act::StaySilent]);
    let world = World::with_site_and("limits: {requests: 2}", site.address).await;
    let client = world.client();
    let request = head("GET", "");
    let silent = join_all((0..2).map(|_| client.open(request.as_bytes()))).await;
    world.eventually("the site has both", async || (site.seen().len() == 2).then_some(())).await;
    let answer = client.ask(Method::GET, &[], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&answer), "overloaded");
    assert_eq!(answer.headers["retry-after"], "1");
    drop(silent);
    world
        .eventually("there is a place again", async || {
            let answer = client.ask(Method::GET, &[], "").await;
            (answer.status == StatusCode::OK).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_cell_that_never_answers_and_is_flooded_takes_nothing_from_another() {
    let silent = Site::start(std::iter::repeat_n(Act::StaySilent, 10_000));
    let sound = Site::start([]);
    let limits = "limits: {requests: 40, connections: 2000}";
    let world = World::with_two_cells(limits, silent.address, sound.address).await;
    let client = world.client();
    let flood: Vec<String> = world
        .users_of("c1")
        .take(400)
        .map(|user| head_of(&user, "POST", "content-length: 0\r\n"))
        .collect();
    let _flood = join_all(flood.iter().map(|request| client.open(request.as_bytes()))).await;
    world
        .eventually("the silent cell has its share", async || {
            (silent.seen().len() == 20).then_some(())
        })
        .await;
    for user in world.users_of("c2").take(100) {
        let answer = client.ask_as(&user, Method::GET, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.headers["x-bulkhead-cell"], "c2");
    }
    let refused = |cell: &str, reason: &str| {
        format!("router_refused_total{{cell=\"{cell}\",reason=\"{reason}\"}}")
    };
    assert_eq!(sound.seen().len(), 100);
    world
        .eventually("the flood is refused", async || {
            let shed = world.metric(&refused("c1", "overloaded")).await;
            shed.filter(|count| *count >= 380.0)
        })
        .await;
    assert!(world.metric(&refused("c2", "overloaded")).await.is_none_or(|count| count < 0.5));
}

#[tokio::test]
async fn a_cell_that_refuses_some_of_it_is_asked_for_the_rest() {
    let site = Site::start(std::iter::repeat_n(Act::Refuse, 20));
    let limits = "limits: {breaker: {requests: 5, pause: 1h}}";
    let world = World::with_site_and(limits, site.address).await;
    let client = world.client();
    for _ in 0..20 {
        let answer = client.ask(Method::POST, &[], "").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["x-bulkhead-refused"], "at-risk");
    }
    assert_eq!(client.ask(Method::POST, &[], "").await.status, StatusCode::OK);
    assert_eq!(site.seen().len(), 21);
    assert_eq!(world.metric("router_breaker_open{cell=\"c1\"}").await, Some(0.0));
}

#[tokio::test]
async fn a_cell_that_goes_on_failing_is_left_alone_until_a_later_epoch() {
    let failing = Site::start(std::iter::repeat_n(Act::Fail, 100));
    let sound = Site::start([]);
    let limits = "limits: {breaker: {requests: 5, pause: 1h}}";
    let mut world = World::with_site_and(limits, failing.address).await;
    let client = world.client();
    for _ in 0..5 {
        let answer = client.ask(Method::POST, &[], "").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    let answer = client.ask(Method::POST, &[], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&answer), "cell-unavailable");
    assert_eq!(answer.headers["retry-after"], "3600");
    assert_eq!(failing.seen().len(), 5);
    assert_eq!(world.metric("router_breaker_open{cell=\"c1\"}").await, Some(1.0));
    world.publish(8, &Is::ActiveIn("north"), sound.address).await;
    assert_eq!(client.ask(Method::POST, &[], "").await.status, StatusCode::OK);
    assert_eq!(world.metric("router_breaker_open{cell=\"c1\"}").await, Some(0.0));
}

#[tokio::test]
async fn a_read_of_a_cell_that_is_left_alone_is_answered_by_a_standby() {
    let failing = Site::start(std::iter::repeat_n(Act::Fail, 100));
    let standby = Site::start([Act::Stale, Act::Stale]);
    let mut world = World::start_with("limits: {breaker: {requests: 5, pause: 1h}}").await;
    let sites = [failing.address, standby.address, standby.address];
    world.publish_sites(7, &Is::ActiveIn("east"), sites).await;
    let client = world.client();
    for _ in 0..5 {
        client.ask(Method::POST, &[], "").await;
    }
    let answer = client.ask(Method::GET, &[], "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"old\n"[..]));
    assert_eq!((failing.seen().len(), standby.seen().len()), (5, 1));
}

#[tokio::test]
async fn typed_refusals_open_no_breaker() {
    let site = Site::start(std::iter::repeat_n(Act::NotServing, 30));
    let limits = "limits: {breaker: {requests: 5, pause: 1h}}";
    let world = World::with_site_and(limits, site.address).await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen().len(), 31);
}

#[tokio::test]
async fn a_client_that_is_slow_or_says_nothing_is_left() {
    let site = Site::start([]);
    let limits = "limits: {idle: 300ms, slow: {grace: 300ms, rate: 1GiB}}";
    let world = World::with_site_and(limits, site.address).await;
    let client = world.client();
    for unfinished in ["", "GET /v1/me HTT", "GET /v1/me HTTP/1.1\r\nhost: bulkhead\r\n"] {
        let mut stream = client.open(unfinished.as_bytes()).await;
        assert_eq!(read_to_end(&mut stream).await, "", "{unfinished}");
    }
    let body = head("POST", "content-length: 5\r\n") + "h";
    let mut stream = client.open(body.as_bytes()).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("request-timeout"), "{answer}");
    let whole = head("GET", "");
    let mut stream = client.open(whole.as_bytes()).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "answered, and closed when idle: {answer}");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_left() {
    let site = Site::start([Act::Long]);
    let world = World::with_site_and("limits: {slow: {unread: 300ms}}", site.address).await;
    let mut stream = world.client().open(head("GET", "").as_bytes()).await;
    world.eventually("the site is asked", async || (!site.seen().is_empty()).then_some(())).await;
    world
        .eventually("it is left", async || {
            world.metric("router_connections ").await.filter(|open| *open < 0.5)
        })
        .await;
    let came = read_to_end(&mut stream).await;
    assert!(came.starts_with("HTTP/1.1 200 "), "{}", &came[..came.len().min(100)]);
    assert!(came.len() < LONG, "all {} bytes came", came.len());
}

#[tokio::test]
async fn a_connection_serves_so_many_requests_and_is_closed() {
    let site = Site::start([]);
    let limits = "limits: {requests-per-connection: 2}";
    let world = World::with_site_and(limits, site.address).await;
    let request = head("GET", "");
    let mut stream = world.client().open(request.as_bytes()).await;
    let first = read_until(&mut stream, "ok\n").await.to_lowercase();
    assert!(first.contains("connection: keep-alive"), "{first}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let second = read_to_end(&mut stream).await.to_lowercase();
    assert!(second.contains("connection: close"), "{second}");
}

#[tokio::test]
async fn there_are_so_many_connections_at_once_and_no_more() {
    let site = Site::start([]);
    let world = World::with_site_and("limits: {connections: 3}", site.address).await;
    world
        .eventually("nobody is connected", async || {
            world.metric("router_connections ").await.filter(|open| *open < 0.5)
        })
        .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(world.edge()).await.unwrap());
    }
    world
        .eventually("three are connected", async || {
            world.metric("router_connections ").await.filter(|open| *open > 2.5)
        })
        .await;
    let mut refused = TcpStream::connect(world.edge()).await.unwrap();
    assert_eq!(read_to_end(&mut refused).await, "");
    drop(open);
    world
        .eventually("there is room again", async || {
            let mut stream = TcpStream::connect(world.edge()).await.ok()?;
            stream.write_all(head("GET", "connection: close\r\n").as_bytes()).await.ok()?;
            read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 ").then_some(())
        })
        .await;
}

/// Reads until the connection ends, in whichever way.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let patience = std::time::Duration::from_secs(30);
    let read = tokio::time::timeout(patience, stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "still open after {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}
