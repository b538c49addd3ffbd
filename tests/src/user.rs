//! A user of the platform, at its public endpoint.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use runtime::HttpClient;
use serde_json::{Value, json};
use topology::{CellId, Placement, SLOTS, Slot, Version};

use crate::Platform;
use crate::json::text;

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

    /// Returns a user whose data a cell owns.
    pub fn in_cell(platform: &Platform, cell: &CellId) -> anyhow::Result<Self> {
        let placement = Placement::plan(&platform.spec.weights(), Version(0));
        let mut names = (0..SLOTS).map(|number| format!("user-{number}"));
        let name = names.find(|name| placement.cell_of(Slot::of(name)) == cell);
        Self::of(platform, &name.with_context(|| format!("find a user of {cell}"))?)
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

    /// Opens a ticket, and returns its id.
    pub async fn opens_ticket(&self, subject: &str) -> anyhow::Result<String> {
        let made = self.post("/v1/tickets", &ticket(subject)).await?;
        ensure!(made.status == StatusCode::CREATED, "open ticket {subject:?}: {made:?}");
        Ok(text(&made.body["id"]))
    }

    /// Returns the subjects of this user's tickets, in alphabetical order.
    pub async fn tickets(&self) -> anyhow::Result<Vec<String>> {
        let listed = self.get("/v1/tickets").await?;
        ensure!(listed.status == StatusCode::OK, "list tickets: {listed:?}");
        let tickets = listed.body["data"].as_array().into_iter().flatten();
        let mut subjects: Vec<String> = tickets.map(|ticket| text(&ticket["subject"])).collect();
        subjects.sort();
        Ok(subjects)
    }

    /// Fails unless this user's cell refuses strong writes because no other region would have them.
    pub async fn is_refused_at_risk(&self) -> anyhow::Result<()> {
        let answer = self.post("/v1/tickets", &ticket("at risk")).await?;
        let said = (answer.status.as_u16(), answer.code());
        ensure!(said == (503, "at-risk"), "expect that a ticket is refused: {answer:?}");
        Ok(())
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

fn ticket(subject: &str) -> Value {
    json!({ "subject": subject, "description": "…" })
}
