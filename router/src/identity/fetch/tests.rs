use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[tokio::test]
async fn what_is_published_is_fetched_with_its_host_and_path() {
    let (told, asked) = exchange("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys", 4).await;
    assert_eq!(told.unwrap(), b"keys");
    let (line, rest) = asked.split_once("\r\n").unwrap();
    assert_eq!(line, "GET /keys?v=1 HTTP/1.1");
    assert!(rest.to_ascii_lowercase().contains("host: 127.0.0.1:"), "{asked}");
}

#[tokio::test]
async fn no_redirect_is_followed_and_no_error_is_a_set_of_keys() {
    for head in ["302 Found\r\nlocation: http://127.0.0.1:1/", "404 Not Found", "500 Oh"] {
        let (told, _) =
            exchange(&format!("HTTP/1.1 {head}\r\ncontent-length: 4\r\n\r\nkeys"), 4).await;
        let told = format!("{:#}", told.unwrap_err());
        assert!(told.starts_with("read the answer: its status is "), "{told}");
    }
}

#[tokio::test]
async fn more_than_is_wanted_is_refused_whether_announced_or_not() {
    let chunks = "3\r\nkey\r\n".repeat(2);
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
    ] {
        let (told, _) = exchange(&answer, 4).await;
        let told = format!("{:#}", told.unwrap_err());
        assert_eq!(told, "read the answer: it has more than 4 bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_says_nothing_is_not_waited_for() {
    let (listener, url) = listen().await;
    let silent = async {
        let _connection = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        told = get(&url, 4) => {
            assert!(format!("{:#}", told.unwrap_err()).starts_with("wait 5 seconds"));
        }
        () = silent => {}
    }
}

#[tokio::test]
async fn nothing_is_taken_from_somebody_without_a_trusted_certificate() {
    let (listener, url) = listen().await;
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let impostor = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys").await
    };
    let url = KeyUrl { is_tls: true, ..url };
    let (told, served) = tokio::join!(get(&url, 4), impostor);
    assert!(format!("{:#}", told.unwrap_err()).starts_with("connect: "));
    assert!(served.is_err());
}

/// Fetches at most so many bytes from somebody who answers so; returns also what was asked.
async fn exchange(answer: &str, size_max: usize) -> (anyhow::Result<Vec<u8>>, String) {
    let (listener, url) = listen().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        asked
    };
    tokio::join!(get(&url, size_max), serve)
}

async fn listen() -> (TcpListener, KeyUrl) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let path = "/keys?v=1".to_owned();
    let url = KeyUrl { is_tls: false, host: address.ip().to_string(), port: address.port(), path };
    (listener, url)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the connection ended after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}
