//! Calls to a control plane: any of them answers every call, so that the next one is asked where one
//! does not.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use runtime::http_client::{Answer, CallError};
use runtime::{HttpClient, Problem};
use serde::Serialize;
use serde_json::Value;

use crate::access::Access;
use crate::exit::Failure;

/// A control plane asks every site of a cell at most.
const ASK: Duration = Duration::from_secs(10);
/// A move waits for a clean stop of PostgreSQL and the opening of the next epoch.
const DO: Duration = Duration::from_secs(40);

pub(crate) struct Api {
    http: HttpClient,
    pub(crate) addresses: Vec<String>,
    pub(crate) headers: HeaderMap,
}

impl Api {
    pub(crate) fn new(access: Access) -> anyhow::Result<Self> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", access.token))
            .context("use the token: it has characters that no token has")?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        let http = HttpClient::trusting(access.ca.as_deref())?;
        Ok(Self { http, addresses: access.addresses, headers })
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Reads from the first control plane that knows.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let mut headers = self.headers.clone();
        headers.insert(header::ACCEPT, const { HeaderValue::from_static("application/json") });
        let mut last = String::from("there is no address");
        for address in &self.addresses {
            let url = format!("{address}{path}");
            match self.http.call(Method::GET, &url, headers.clone(), Bytes::new(), ASK).await {
                // It cannot say; another may.
                Ok(answer) if answer.status.is_server_error() => {
                    last = format!("{address}: {}", refusal(&answer));
                }
                Ok(answer) => return read(&url, &answer),
                Err(err) => last = said(&err),
            }
        }
        Err(Failure::Unreachable(last))
    }

    /// Asks for something to be done. Another control plane is asked only where nothing was sent.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        tag: Option<&str>,
    ) -> Result<Value, Failure> {
        let body = serde_json::to_vec(body).context("write the request")?;
        let mut headers = self.headers.clone();
        let json = const { HeaderValue::from_static("application/json") };
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(tag) = tag {
            let tag = HeaderValue::try_from(tag).context("use the tag of --if-match")?;
            headers.insert(header::IF_MATCH, tag);
        }
        let mut last = String::from("there is no address");
        for address in &self.addresses {
            let url = format!("{address}{path}");
            let sent =
                self.http.call(method.clone(), &url, headers.clone(), body.clone(), DO).await;
            match sent {
                Ok(answer) => return read(&url, &answer),
                Err(err @ CallError::Connect { .. }) => last = said(&err),
                Err(err) => return Err(Failure::Unreachable(said(&err))),
            }
        }
        Err(Failure::Unreachable(last))
    }
}

fn read(url: &str, answer: &Answer) -> Result<Value, Failure> {
    if answer.status.is_success() {
        let value = serde_json::from_slice(&answer.body);
        return Ok(value.with_context(|| format!("understand the answer of {url}"))?);
    }
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => Err(Failure::Refused(Box::new(problem))),
        Err(_) => Err(Failure::Unreachable(format!("{url}: {}", refusal(answer)))),
    }
}

fn refusal(answer: &Answer) -> String {
    let problem = serde_json::from_slice::<Problem>(&answer.body);
    problem.map_or_else(|_| answer.status.to_string(), |problem| problem.title)
}

/// The whole chain of causes on one line.
fn said(err: &CallError) -> String {
    let mut text = err.to_string();
    let mut source = std::error::Error::source(err);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
