//! A user of the router: whole requests, and raw bytes where a request is not whole.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use runtime::HttpClient;
use runtime::http_client::Answer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::KEY;

/// Longer than a hold.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    http: HttpClient,
    edge: SocketAddr,
}

impl Client {
    pub(crate) fn new(edge: SocketAddr) -> Self {
        Self { http: HttpClient::default(), edge }
    }

    /// Asks as `ada`, with further headers.
    pub(crate) async fn ask(&self, method: Method, headers: &[(&str, &str)], body: &str) -> Answer {
        let token = format!("Bearer {}", token(&ada()));
        let mut all = vec![("authorization", token.as_str())];
        all.extend(headers);
        self.ask_as_is(method, "/v1/conversations", &all, body).await
    }

    /// Asks as somebody else.
    pub(crate) async fn ask_as(
        &self,
        user: &str,
        method: Method,
        headers: &[(&str, &str)],
    ) -> Answer {
        let token = format!("Bearer {}", token(&claims(user)));
        let mut all = vec![("authorization", token.as_str())];
        all.extend(headers);
        self.ask_as_is(method, "/v1/conversations", &all, "").await
    }

    /// Asks without adding anything.
    pub(crate) async fn ask_as_is(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let url = format!("http://{}{path}", self.edge);
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.http.call(method, &url, map, body, PATIENCE).await.unwrap()
    }

    /// Sends bytes on a connection of their own.
    pub(crate) async fn open(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.edge).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// The head of a request of `ada`; `more` are whole header lines.
pub(crate) fn head(method: &str, more: &str) -> String {
    head_of("ada", method, more)
}

pub(crate) fn head_of(user: &str, method: &str, more: &str) -> String {
    let token = token(&claims(user));
    format!(
        "{method} /v1/conversations HTTP/1.1\r\nhost: bulkhead\r\n\
         authorization: Bearer {token}\r\n{more}\r\n"
    )
}

/// Reads until `until` has come.
pub(crate) async fn read_until(stream: &mut TcpStream, until: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(until) {
        let count =
            tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

/// Returns a problem's code.
pub(crate) fn code(answer: &Answer) -> String {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(problem["status"], answer.status.as_u16());
    problem["code"].as_str().unwrap().to_owned()
}

/// The claims of a valid token.
pub(crate) fn ada() -> Value {
    claims("ada")
}

fn claims(user: &str) -> Value {
    let now = runtime::clock::unix_millis() / 1000;
    let issuer = "bulkhead-development";
    json!({"sub": user, "aud": "bulkhead", "iss": issuer, "iat": now, "exp": now + 3600})
}

pub(crate) fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(KEY.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}
