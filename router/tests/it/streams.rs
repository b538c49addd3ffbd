//! Streams through the router, and how they end.

use http::StatusCode;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::client::{head, read_until};
use crate::site::{Act, Site};
use crate::world::{Is, World};

const EVENTS: &str = "accept: text/event-stream\r\n";
const SOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                      sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// A text frame that says `{"type":"moved"}`, and a close frame with 1012.
const LAST_FRAMES: &[u8] = b"\x81\x10{\"type\":\"moved\"}\x88\x02\x03\xf4";

#[tokio::test]
async fn events_end_with_a_last_word_when_the_router_does() {
    let site = Site::start([Act::Stream]);
    let mut world = World::with_site(site.address).await;
    let mut stream = world.client().open(head("GET", EVENTS).as_bytes()).await;
    read_until(&mut stream, "data: 1\n\n").await;
    assert!(world.stop_router().await.success());
    let rest = rest(&mut stream).await;
    assert_eq!(rest, "17\r\nevent: moved\ndata: {}\n\n\r\n0\r\n\r\n");
}

#[tokio::test]
async fn events_end_with_a_last_word_when_the_cell_has_moved() {
    let site = Site::start([Act::Stream]);
    let mut world = World::with_site(site.address).await;
    let mut stream = world.client().open(head("GET", EVENTS).as_bytes()).await;
    read_until(&mut stream, "data: 1\n\n").await;
    world.publish(8, &Is::ActiveIn("north"), site.address).await;
    read_until(&mut stream, "event: moved\ndata: {}\n\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn half_an_event_is_not_made_a_whole_one() {
    let site = Site::start([Act::HalfAnEvent]);
    let mut world = World::with_site(site.address).await;
    let mut stream = world.client().open(head("GET", EVENTS).as_bytes()).await;
    read_until(&mut stream, "data: 2").await;
    assert!(world.stop_router().await.success());
    assert_eq!(rest(&mut stream).await.trim(), "", "it is cut, and the client comes back");
}

#[tokio::test]
async fn a_stream_asked_for_while_the_router_drains_is_sent_elsewhere() {
    let site = Site::start([Act::Answer, Act::Stream]);
    let mut world = World::with_site(site.address).await;
    let mut kept = world.client().open(head("GET", "").as_bytes()).await;
    read_until(&mut kept, "ok\n").await;
    world.start_successor();
    world.dismissed().await;
    tokio::io::AsyncWriteExt::write_all(&mut kept, head("GET", EVENTS).as_bytes()).await.unwrap();
    let answer = rest(&mut kept).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("event: moved\ndata: {}\n\n"), "{answer}");
    assert!(world.predecessor_ended().await.success());
}

#[tokio::test]
async fn a_socket_passes_through_and_ends_with_its_last_frames_when_the_router_does() {
    let site = Site::start([Act::Socket]);
    let mut world = World::with_site(site.address).await;
    let mut socket = world.client().open(head("GET", SOCKET).as_bytes()).await;
    let opened = read_until(&mut socket, "\u{2}hi").await;
    let status = StatusCode::SWITCHING_PROTOCOLS.as_str();
    assert!(opened.starts_with(&format!("HTTP/1.1 {status}")), "{opened}");
    assert!(world.stop_router().await.success());
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, LAST_FRAMES);
}

#[tokio::test]
async fn a_socket_is_held_before_it_is_opened() {
    let site = Site::start([Act::Socket]);
    let mut world = World::start().await;
    world.publish(8, &Is::Electing, site.address).await;
    let mut socket = world.client().open(head("GET", SOCKET).as_bytes()).await;
    world.held(1.0).await;
    world.publish(9, &Is::ActiveIn("north"), site.address).await;
    read_until(&mut socket, "\u{2}hi").await;
}

/// Everything until the connection ends, cleanly or not.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
    String::from_utf8(bytes).unwrap()
}

/// An answer whose length is known is no stream, and its site may take its time all the same.
#[tokio::test]
async fn what_a_site_has_said_is_heard_while_it_pauses() {
    let site = Site::start([Act::Pause]);
    let world = World::with_site(site.address).await;
    let mut stream = world.client().open(head("GET", "").as_bytes()).await;
    let heard = read_until(&mut stream, "half").await;
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
}
