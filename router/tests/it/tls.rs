//! Users who come in with TLS, and sites that the router has to be sure of.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::Authority;
use crate::client::{ada, head, token};
use crate::site::Site;
use crate::world::World;

pub(crate) const NAME: &str = "edge.example";

#[tokio::test]
async fn http_1_and_2_come_in_with_tls_and_a_new_certificate_is_used_at_once() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let world = with_tls(&authority, "", &site).await;

    let mut stream = handshake(&world, &authority, "http/1.1").await;
    stream.write_all(head("GET", "connection: close\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");

    let stream = handshake(&world, &authority, "h2").await;
    let first = certificate(&stream);
    assert_eq!(ask_by_http_2(stream).await, (StatusCode::OK, "ok\n".into()));

    let expires = "router_certificate_expires_timestamp_seconds{file=\"e.pem\"}";
    assert!(world.metric(expires).await.unwrap() > 1e9);
    // Half of a new pair changes nothing, the whole does.
    std::fs::write(world.folder().join("e.key"), authority.sign(NAME).1).unwrap();
    world.eventually_said("changed files refused").await;
    assert_eq!(certificate(&handshake(&world, &authority, "h2").await), first);
    authority.write(world.folder(), "e", NAME);
    world
        .eventually("the new certificate is shown", async || {
            (certificate(&handshake(&world, &authority, "h2").await) != first).then_some(())
        })
        .await;
}

#[tokio::test]
async fn each_name_is_shown_its_certificate_and_a_mistake_in_one_harms_no_other() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let tls = |network| {
        format!(
            "tls: {{listen: '127.{network}.0.1:8443', certificate: e.pem, key: e.key, others: [\
             {{certificate: b.pem, key: b.key}}, {{certificate: w.pem, key: w.key}}]}}"
        )
    };
    let prepare = |folder: &std::path::Path| {
        authority.write(folder, "e", NAME);
        authority.write(folder, "w", "*.shop.example");
        authority.write(folder, "b", "brand.shop.example");
        // Not right yet when the router starts.
        std::fs::write(folder.join("b.key"), "no key").unwrap();
    };
    let world = World::with_edge(tls, prepare, site.address).await;
    let file = |name: &str| pem_bytes(&std::fs::read_to_string(world.folder().join(name)).unwrap());
    let shown = async |name: &str| certificate(&greet(&world, &authority, "h2", name).await);
    assert_eq!(shown(NAME).await, file("e.pem"));
    assert_eq!(shown("brand.shop.example").await, file("w.pem"), "until its own is right");
    authority.write(world.folder(), "b", "brand.shop.example");
    world
        .eventually("the name has its own certificate", async || {
            (shown("brand.shop.example").await == file("b.pem")).then_some(())
        })
        .await;
    let before = file("b.pem");
    std::fs::write(world.folder().join("b.pem"), "no certificate").unwrap();
    world.eventually_said("changed files refused").await;
    assert_eq!(shown("brand.shop.example").await, before);
    assert_eq!(shown(NAME).await, file("e.pem"));
    assert_eq!(shown("any.shop.example").await, file("w.pem"));
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let (authority, site) = (Authority::new(), Site::start([]));
    let world = with_tls(&authority, "", &site).await;
    for version in [&TLS12, &TLS13] {
        let connector = TlsConnector::from(authority.user_with(&[version], "h2"));
        let stream = TcpStream::connect(address(&world)).await.unwrap();
        let name = NAME.to_owned().try_into().unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(ask_by_http_2(stream).await, (StatusCode::OK, "ok\n".into()));
    }
}

#[tokio::test]
async fn router_and_site_prove_themselves_to_each_other() {
    let authority = Authority::new();
    let (site, mut by) = secure_site(authority.site("site.bulkhead.internal")).await;
    let world = World::with_edge(|_| mutual(), |folder| pairs(&authority, folder), site).await;
    let answer = world.client().ask(Method::GET, &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let shown = by.join_next().await.unwrap().unwrap();
    let written = std::fs::read_to_string(world.folder().join("r.pem")).unwrap();
    assert_eq!(shown, pem_bytes(&written), "the router showed its own certificate");
}

#[tokio::test]
async fn a_site_that_speaks_http_2_is_asked_by_it_many_at_once_on_one_connection() {
    let authority = Authority::new();
    let mut config = Arc::unwrap_or_clone(authority.site("site.bulkhead.internal"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut site = JoinSet::new();
    site.spawn(http_2_site(listener, TlsAcceptor::from(Arc::new(config))));
    let world = World::with_edge(|_| mutual(), |folder| pairs(&authority, folder), address).await;
    let client = world.client();
    assert_eq!(client.ask(Method::GET, &[], "").await.status, StatusCode::OK);
    let asked = join_all((0..3).map(|_| client.ask(Method::POST, &[], "words"))).await;
    for answer in asked {
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, b"5 of ada".as_slice()));
        assert_eq!(answer.headers["x-bulkhead-cell"], "c1");
    }
}

/// Answers each request with the length of its body and the user it is for.
async fn http_2_site(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut serving = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(stream) = acceptor.accept(stream).await else { continue };
        serving.spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut answering = JoinSet::new();
            while let Some(Ok((request, mut reply))) = connection.accept().await {
                answering.spawn(async move {
                    let (head, mut body) = request.into_parts();
                    let mut length = 0;
                    while let Some(part) = body.data().await {
                        length += part.unwrap().len();
                    }
                    let user = head.headers["x-bulkhead-user"].to_str().unwrap().to_owned();
                    let mut body = reply.send_response(http::Response::new(()), false).unwrap();
                    body.send_data(format!("{length} of {user}").into(), true).unwrap();
                });
            }
        });
    }
}

#[tokio::test]
async fn a_site_with_another_name_gets_no_request() {
    let authority = Authority::new();
    let (site, mut by) = secure_site(authority.site("elsewhere.example")).await;
    let world = World::with_edge(|_| mutual(), |folder| pairs(&authority, folder), site).await;
    let refused = "router_upstream_attempts_total{cell=\"c1\",outcome=\"unreachable\"}";
    let client = world.client();
    tokio::select! {
        answer = client.ask(Method::GET, &[], "") => panic!("{answer:?}"),
        () = world.eventually("the site is refused", async || {
            world.metric(refused).await.filter(|count| *count > 0.0).map(drop)
        }) => {}
    }
    assert!(by.try_join_next().is_none(), "no request came");
}

fn mutual() -> String {
    "sites: {authority: ca.pem, router: {certificate: r.pem, key: r.key}, \
     site: {certificate: s.pem, key: s.key}}"
        .to_owned()
}

fn pairs(authority: &Authority, folder: &std::path::Path) {
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    authority.write(folder, "r", "router.bulkhead.internal");
}

/// A site that answers one request with `ok`, and returns the certificate of who asked.
async fn secure_site(config: Arc<ServerConfig>) -> (SocketAddr, JoinSet<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(config);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                // A client that refuses our certificate ends the handshake late in TLS 1.3.
                match stream.read_buf(&mut request).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            if request.is_empty() {
                continue;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await.unwrap();
            return stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        }
    });
    (address, serving)
}

/// Starts a router whose users come in with TLS, with more keys under `edge`.
pub(crate) async fn with_tls(authority: &Authority, more: &str, site: &Site) -> World {
    let tls = |network| {
        format!("tls: {{listen: '127.{network}.0.1:8443', certificate: e.pem, key: e.key}}{more}")
    };
    let prepare = |folder: &std::path::Path| authority.write(folder, "e", NAME);
    World::with_edge(tls, prepare, site.address).await
}

pub(crate) async fn handshake(
    world: &World,
    authority: &Authority,
    protocol: &str,
) -> TlsStream<TcpStream> {
    greet(world, authority, protocol, NAME).await
}

async fn greet(
    world: &World,
    authority: &Authority,
    protocol: &str,
    name: &str,
) -> TlsStream<TcpStream> {
    let connector = TlsConnector::from(authority.user(protocol));
    let stream = shake_hands(address(world), &connector, name).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    stream
}

pub(crate) async fn shake_hands(
    address: SocketAddr,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(name.to_owned().try_into().unwrap(), stream).await
}

/// Where users come in with TLS.
pub(crate) fn address(world: &World) -> SocketAddr {
    SocketAddr::new(world.edge().ip(), 8443)
}

fn certificate(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn pem_bytes(pem: &str) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

pub(crate) async fn ask_by_http_2(stream: TlsStream<TcpStream>) -> (StatusCode, Bytes) {
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let request = Request::get(format!("https://{NAME}/v1/conversations"))
        .header("authorization", format!("Bearer {}", token(&ada())))
        .body(())
        .unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    let answer = answer.await.unwrap();
    let status = answer.status();
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(part) = body.data().await {
        bytes.extend_from_slice(&part.unwrap());
    }
    (status, bytes.into())
}
