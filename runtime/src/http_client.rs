//! Requests to other processes: bounded in time and size, traced, never repeated behind one's back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::telemetry;

/// Longest answer read; everything our processes say to each other is far below.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// Idle connections kept per peer: as many as are usually busy at once.
const IDLE_MAX: usize = 64;
/// Less than the 75 s after which servers commonly close idle connections.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// A lost SYN is sent again after a second; whoever cannot wait that long says so with each request.
const CONNECT_TIME: Duration = Duration::from_millis(1500);

/// A pooled HTTP/1.1 client, with TLS where an address says so. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{url} is not an address")]
    Address { url: String, source: http::uri::InvalidUri },
    /// Nothing was sent: always safe to try again.
    #[error("connect to {peer}")]
    Connect { peer: String, source: hyper_util::client::legacy::Error },
    /// Something may have been sent.
    #[error("ask {peer}")]
    Send { peer: String, source: hyper_util::client::legacy::Error },
    #[error("read the answer of {peer}")]
    Receive { peer: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{peer} did not answer within {after:?}")]
    Timeout { peer: String, after: Duration },
    #[error("{peer} answered {status}: {body}")]
    Refused { peer: String, status: StatusCode, body: String },
    #[error("{peer} answered something else than expected")]
    Malformed { peer: String, source: serde_json::Error },
}

/// Trusts no authority: for what is asked in the open.
impl Default for HttpClient {
    fn default() -> Self {
        Self::with(RootCertStore::empty())
    }
}

impl HttpClient {
    /// Returns a client that trusts the authorities in a file, in PEM; none without.
    pub fn trusting(authority: Option<&Path>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = authority {
            let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
            let trust = || format!("trust the authority in {}", path.display());
            for root in CertificateDer::pem_slice_iter(&pem) {
                roots.add(root.with_context(trust)?).with_context(trust)?;
            }
            ensure!(!roots.is_empty(), "find an authority: {} has none", path.display());
        }
        Ok(Self::with(roots))
    }

    fn with(roots: RootCertStore) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        tcp.enforce_http(false);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("ring has both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = https.enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_MAX)
            // A request is sent again only where somebody decided that it may be.
            .retry_canceled_requests(false)
            .build(connector);
        Self(client)
    }

    /// Sends one request and reads the whole answer within `timeout`. The current trace goes along.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let (peer, request) = request(method, url, headers, body)?;
        let exchange = self.exchange(&peer, request);
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(CallError::Timeout { peer: peer.clone(), after: timeout }))
    }

    async fn exchange(
        &self,
        peer: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, CallError> {
        received(peer, self.send(peer, request).await?).await
    }

    /// Returns who is asked, and the beginning of the answer, which may have no end.
    pub(crate) async fn begin(
        &self,
        url: &str,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<(String, Response<Incoming>), CallError> {
        let (peer, request) = request(Method::GET, url, headers, Bytes::new())?;
        let sent = tokio::time::timeout(timeout, self.send(&peer, request)).await;
        let answer = sent
            .unwrap_or_else(|_| Err(CallError::Timeout { peer: peer.clone(), after: timeout }))?;
        Ok((peer, answer))
    }

    async fn send(
        &self,
        peer: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, CallError> {
        self.0.request(request).await.map_err(|source| {
            let peer = peer.to_owned();
            if source.is_connect() {
                CallError::Connect { peer, source }
            } else {
                CallError::Send { peer, source }
            }
        })
    }

    /// Reads JSON.
    pub async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        timeout: Duration,
    ) -> Result<T, CallError> {
        let answer = self.call(Method::GET, url, HeaderMap::new(), Bytes::new(), timeout).await?;
        answer.json(url)
    }

    /// Sends JSON and reads JSON.
    pub async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(body)
            .map_err(|source| CallError::Malformed { peer: url.to_owned(), source })?;
        let mut headers = HeaderMap::new();
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let answer = self.call(Method::POST, url, headers, body, timeout).await?;
        answer.json(url)
    }
}

fn request(
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: impl Into<Bytes>,
) -> Result<(String, Request<Full<Bytes>>), CallError> {
    let uri: Uri =
        url.parse().map_err(|source| CallError::Address { url: url.to_owned(), source })?;
    let peer = uri.authority().map_or_else(|| url.to_owned(), ToString::to_string);
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    telemetry::inject(request.headers_mut());
    Ok((peer, request))
}

/// Reads the whole of an answer.
pub(crate) async fn received(peer: &str, answer: Response<Incoming>) -> Result<Answer, CallError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_MAX)
        .collect()
        .await
        .map_err(|source| CallError::Receive { peer: peer.to_owned(), source })?
        .to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

impl Answer {
    /// Reads the body of a successful answer.
    pub fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, CallError> {
        if !self.status.is_success() {
            return Err(CallError::Refused {
                peer: url.to_owned(),
                status: self.status,
                body: String::from_utf8_lossy(&self.body).chars().take(500).collect(),
            });
        }
        serde_json::from_slice(&self.body)
            .map_err(|source| CallError::Malformed { peer: url.to_owned(), source })
    }
}
