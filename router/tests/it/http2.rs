//! What a client may ask for at once on one HTTP/2 connection, and how it may change its mind.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::authority::Authority;
use crate::client::{ada, token};
use crate::site::Site;
use crate::tls::{NAME, ask_by_http_2, handshake, with_tls};
use crate::world::{Is, World};

/// What a client says first: that it speaks HTTP/2, and settings, of which it has none.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn a_request_that_is_taken_back_while_it_is_held_gives_its_place_back() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let mut world = with_tls(&authority, "", &site).await;
    world.publish(8, &Is::Electing, site.address).await;
    let mut client = Client::connect(&world, &authority).await;
    let (_answer, mut request) = client.ask("", true);
    world.held(1.0).await;
    request.send_reset(Reason::CANCEL);
    world.held(0.0).await;
    world.publish(9, &Is::ActiveIn("north"), site.address).await;
    let gone = "router_hold_seconds_count{cause=\"no-active-site\",outcome=\"gone\"}";
    world.eventually_counts(gone, 1.0).await;
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_its_clients_fault_and_opens_no_breaker() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let limits = ", limits: {breaker: {requests: 5, pause: 1h}}";
    let world = with_tls(&authority, limits, &site).await;
    let mut client = Client::connect(&world, &authority).await;
    let asked: Vec<_> = (0..8).map(|_| client.ask("5", false)).collect();
    let answers = join_all(asked.into_iter().map(async |(answer, _request)| answer.await)).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(world.metric("router_breaker_open{cell=\"c1\"}").await, Some(0.0));
    let answer = client.ask("", true).0.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_connection_offers_so_many_streams_and_takes_no_larger_heads() {
    const STREAMS: u16 = 3;
    const HEAD_BYTES: u16 = 6;
    let (authority, site) = (Authority::new(), Site::start([]));
    let limits = ", limits: {http2-streams: 7, head: {bytes: 4KiB}}";
    let world = with_tls(&authority, limits, &site).await;
    let mut stream = handshake(&world, &authority, "h2").await;
    stream.write_all(GREETING).await.unwrap();
    let (_, settings) = frame(&mut stream).await;
    let offered: Vec<(u16, u32)> = settings
        .chunks(6)
        .map(|one| {
            let value = u32::from_be_bytes(one[2..].try_into().unwrap());
            (u16::from_be_bytes([one[0], one[1]]), value)
        })
        .collect();
    assert!(offered.contains(&(STREAMS, 7)), "{offered:?}");
    assert!(offered.contains(&(HEAD_BYTES, 4096)), "{offered:?}");
    let mut client = Client::connect(&world, &authority).await;
    let large = head("").header("x-large", "a".repeat(5000)).body(()).unwrap();
    let (answer, _) = client.sender.send_request(large, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_connection_on_which_nothing_more_is_asked_is_closed() {
    /// Less than what is borne without such a limit.
    const CLOSED_WITHIN: Duration = Duration::from_secs(30);
    let (authority, site) = (Authority::new(), Site::start([]));
    let world = with_tls(&authority, ", limits: {idle: 300ms}", &site).await;
    let mut client = Client::connect(&world, &authority).await;
    let answer = client.ask("", true).0.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let ended = timeout(CLOSED_WITHIN, client.driving.join_next()).await;
    assert!(ended.is_ok(), "a connection stays open that nobody uses");
}

/// Sixteen thousand such clients would shut everybody out.
#[tokio::test]
async fn a_client_that_never_says_that_it_speaks_http_2_loses_its_place() {
    /// A hundred times what it is given.
    const CLOSED_WITHIN: Duration = Duration::from_secs(30);
    let (authority, site) = (Authority::new(), Site::start([]));
    let world = with_tls(&authority, ", limits: {slow: {grace: 300ms}}", &site).await;
    for said in [0, 12] {
        let mut stream = handshake(&world, &authority, "h2").await;
        stream.write_all(&GREETING[..said]).await.unwrap();
        // However it is ended.
        let ended = timeout(CLOSED_WITHIN, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{said} bytes keep a place");
    }
    let connections = "router_connections";
    world
        .eventually("nobody has a place any more", async || {
            (world.metric(connections).await == Some(0.0)).then_some(())
        })
        .await;
    let stream = handshake(&world, &authority, "h2").await;
    assert_eq!(ask_by_http_2(stream).await, (StatusCode::OK, "ok\n".into()));
}

/// Such a client pays little for each, and has the server begin all of them (CVE-2023-44487).
#[tokio::test]
async fn a_client_that_takes_back_what_it_asks_at_once_is_told_to_calm_down() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let (authority, site) = (Authority::new(), Site::start([]));
    let world = with_tls(&authority, "", &site).await;
    let mut stream = handshake(&world, &authority, "h2").await;
    stream.write_all(&flood(1000)).await.unwrap();
    assert_eq!(said_at_the_end(&mut stream).await, ENHANCE_YOUR_CALM);
    let stream = handshake(&world, &authority, "h2").await;
    assert_eq!(ask_by_http_2(stream).await, (StatusCode::OK, "ok\n".into()));
}

/// Returns an HTTP/2 client's greeting, and so many requests, each followed by its reset.
fn flood(requests: u32) -> Vec<u8> {
    // GET, https, / and the authority, by the numbers of HPACK's static table.
    let head: Vec<u8> = [&[0x82, 0x87, 0x84, 0x01, 12], NAME.as_bytes()].concat();
    let frame = |kind: u8, flags: u8, stream: u32, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
    };
    let mut bytes = GREETING.to_vec();
    for number in 0..requests {
        let stream = 2 * number + 1;
        bytes.extend(frame(1, 0x05, stream, &head));
        bytes.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    bytes
}

/// A connection with its protocol.
struct Client {
    sender: SendRequest<Bytes>,
    driving: JoinSet<Result<(), h2::Error>>,
}

impl Client {
    async fn connect(world: &World, authority: &Authority) -> Self {
        let stream = handshake(world, authority, "h2").await;
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        Self { sender: sender.ready().await.unwrap(), driving }
    }

    /// Asks with a body of so many bytes, of which none is sent.
    fn ask(&mut self, length: &str, is_whole: bool) -> (ResponseFuture, h2::SendStream<Bytes>) {
        let request = head(length).body(()).unwrap();
        self.sender.send_request(request, is_whole).unwrap()
    }
}

/// The head of a request with a body of so many bytes.
fn head(length: &str) -> http::request::Builder {
    let head = Request::post(format!("https://{NAME}/v1/conversations"))
        .header("authorization", format!("Bearer {}", token(&ada())));
    if length.is_empty() { head } else { head.header("content-length", length) }
}

/// Reads frames up to the one that ends the connection, and returns the reason it gives.
async fn said_at_the_end(stream: &mut TlsStream<TcpStream>) -> u32 {
    const GOAWAY: u8 = 7;
    loop {
        let (kind, content) = frame(stream).await;
        if kind == GOAWAY {
            return u32::from_be_bytes(content[4..8].try_into().unwrap());
        }
    }
}

/// Reads a frame: its kind and what is in it.
async fn frame(stream: &mut TlsStream<TcpStream>) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut content = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut content).await.unwrap();
    (head[3], content)
}
