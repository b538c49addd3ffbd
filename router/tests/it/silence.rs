//! Sites that die without a word.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use http::{Method, StatusCode};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use crate::client::code;
use crate::site::{Act, Site};
use crate::world::{Is, World};

#[tokio::test]
async fn who_connects_to_a_site_that_is_not_there_any_more_is_held_and_nothing_was_sent() {
    let hole = BlackHole::open();
    let next = Site::start([]);
    let mut world = World::with_site(hole.address).await;
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask(Method::POST, &[], "hello"), async {
        let given_up = "router_upstream_attempts_total{cell=\"c1\",outcome=\"unreachable\"}";
        world
            .eventually("connecting is given up again and again", async || {
                world.metric(given_up).await.filter(|count| *count >= 2.0)
            })
            .await;
        world.publish(8, &Is::ActiveIn("north"), next.address).await;
    });
    assert_eq!(answer.status, StatusCode::OK, "a POST without a key, which was never sent");
    assert_eq!(answer.headers["x-bulkhead-region"], "north");
    assert_eq!(next.seen().len(), 1);
}

#[tokio::test]
async fn of_a_site_that_says_nothing_a_get_is_asked_again_and_a_post_is_told_as_unknown() {
    let site = Site::start([Act::StaySilent, Act::StaySilent]);
    let world = World::with_site(site.address).await;
    let client = world.client();
    let (read, written) =
        tokio::join!(client.ask(Method::GET, &[], ""), client.ask(Method::POST, &[], "hello"));
    assert_eq!((read.status, &read.body[..]), (StatusCode::OK, b"ok\n".as_slice()));
    assert_eq!(written.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(&written), "outcome-unknown");
    assert_eq!(written.headers["x-bulkhead-outcome"], "unknown");
    let seen = site.seen();
    let sent = |method| seen.iter().filter(|seen| seen.line.starts_with(method)).count();
    assert_eq!((sent("GET"), sent("POST")), (2, 1));
    let lost = "router_upstream_attempts_total{cell=\"c1\",outcome=\"lost\"}";
    world.eventually_counts(lost, 2.0).await;
}

/// An address at which nobody answers, not even to refuse: its queue has room for one connection, and
/// the kernel drops what comes after that.
struct BlackHole {
    address: SocketAddr,
    _listener: OwnedFd,
    _queued: TcpStream,
}

impl BlackHole {
    fn open() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
        let queued = TcpStream::connect(address).unwrap();
        Self { address, _listener: listener, _queued: queued }
    }
}
