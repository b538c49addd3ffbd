//! A user of the platform, at its public endpoint.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use runtime::HttpClient;
use serde_json::Value;
use topology::Slot;

use crate::Platform;

/// Longer than the router holds a request.
const WAIT: Duration = Duration::from_secs(15);

pub struct User {
    endpoint: String,
    http: HttpClient,
    token: String,
    sent: std::cell::Cell<u64>,
    name: String,
}

/// A status and a body; `Null` where the body is not JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// Returns a header as text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl User {
    pub fn of(platform: &Platform, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            endpoint: format!("http://{}", platform.edge()),
            http: platform.http.clone(),
            token: platform.token(name)?,
            sent: std::cell::Cell::new(0),
            name: name.to_owned(),
        })
    }

    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Posts JSON under an idempotency key of its own.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.sent.set(self.sent.get() + 1);
        // The name may be in any script, a key may not.
        let key = format!("{}-{}", Slot::of(&self.name), self.sent.get());
        let body = serde_json::to_vec(body).context("write the body")?;
        self.send(Method::POST, path, &[("idempotency-key", &key)], body).await
    }

    /// Sends as this user, with further headers; a later header of the same name wins.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        further: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let own = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers = own.iter().chain(further).map(|(name, value)| {
            Ok((HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?))
        });
        self.exchange(method, path, headers.collect::<anyhow::Result<_>>()?, body).await
    }

    /// Sends exactly these headers.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.endpoint);
        let answer = self.http.call(method, &url, headers, body, WAIT).await?;
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Ok(Answer { status: answer.status, headers: answer.headers, body })
    }

    /// Sends exactly these headers and this body as a POST, without a token of its own.
    pub async fn post_as(&self, path: &str, authorization: Option<&str>) -> anyhow::Result<Answer> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(value)?);
        }
        self.exchange(Method::POST, path, headers, "{}").await
    }
}
