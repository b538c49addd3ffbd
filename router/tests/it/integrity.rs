//! What reaches a site, and what is refused before.

use http::{Method, StatusCode};
use tokio::io::AsyncWriteExt as _;

use crate::client::{code, head, read_until};
use crate::site::{Act, Site};
use crate::world::World;

#[tokio::test]
async fn a_site_hears_the_routers_headers_only_and_no_token() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let spoofed = [
        ("x-bulkhead-user", "eve"),
        ("X-Bulkhead-Slot", "1"),
        ("x-bulkhead-role", "agent"),
        ("x-bulkhead-cell", "c9"),
        ("x-bulkhead-epoch", "99"),
        ("x-bulkhead-anything", "else"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let answer = world.client().ask(Method::GET, &spoofed, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    for (name, value) in [("cell", "c1"), ("region", "east"), ("epoch", "7")] {
        assert_eq!(answer.headers[format!("x-bulkhead-{name}")], value);
    }
    assert!(answer.headers.contains_key("x-bulkhead-route-version"));
    let headers = site.seen().remove(0).headers;
    let ours: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-bulkhead-") && !name.ends_with("version"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("x-bulkhead-cell", "c1"),
        ("x-bulkhead-epoch", "7"),
        ("x-bulkhead-role", "contact"),
        ("x-bulkhead-slot", "47"),
        ("x-bulkhead-user", "ada"),
    ];
    assert_eq!(ours, expected);
    assert!(!headers.contains_key("authorization"));
    assert!(headers["traceparent"].contains("0af7651916cd43dd8448eb211c80319c"));
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_its_client() {
    let site = Site::start([]);
    let world = World::with_site_and("trusted-proxies: [127.0.0.0/8]", site.address).await;
    let said = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.1"),
    ];
    world.client().ask(Method::GET, &said, "").await;
    let headers = site.seen().remove(0).headers;
    assert_eq!(headers["x-forwarded-for"], "192.0.2.1, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["forwarded"], "for=192.0.2.1, for=127.0.0.1;proto=http");
}

#[tokio::test]
async fn a_body_of_10_mb_is_refused_whether_announced_or_not() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let announced = head("POST", "content-length: 10485760\r\n");
    let mut stream = world.client().open(announced.as_bytes()).await;
    let answer = read_until(&mut stream, "payload-too-large").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(site.seen().is_empty());

    let chunked = head("POST", "transfer-encoding: chunked\r\n");
    let stream = world.client().open(chunked.as_bytes()).await;
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
        for _ in 0..160 {
            // The router stops listening at some point, and need not say so to who goes on sending.
            if writer.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let receive = async {
        let mut answer = vec![0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut answer).await.map(|_| answer)
    };
    let ((), answer) = tokio::join!(send, receive);
    assert_eq!(String::from_utf8(answer.unwrap()).unwrap(), "HTTP/1.1 413");
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_body_of_64_kib_passes_whole() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let body = "a".repeat(64 * 1024);
    let answer = world.client().ask(Method::POST, &[], &body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen()[0].body, body.as_bytes());
}

#[tokio::test]
async fn a_uri_that_is_too_long_is_refused() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let path = format!("/{}", "a".repeat(9000));
    let answer = world.client().ask_as_is(Method::GET, &path, &[], "").await;
    assert_eq!(answer.status, StatusCode::URI_TOO_LONG);
    assert_eq!(code(&answer), "uri-too-long");
}

#[tokio::test]
async fn an_event_reaches_the_client_while_the_stream_is_open() {
    let site = Site::start([Act::Stream]);
    let world = World::with_site(site.address).await;
    let request = head("GET", "accept: text/event-stream\r\n");
    let mut stream = world.client().open(request.as_bytes()).await;
    let answer = read_until(&mut stream, "data: 1").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn two_routers_share_an_address_and_one_can_be_stopped() {
    let site = Site::start([]);
    let mut world = World::with_site(site.address).await;
    world.start_second_router().await;
    assert!(world.stop_router().await.success());
    let answer = world.client().ask(Method::GET, &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}
