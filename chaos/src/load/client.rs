//! The simulated users' side of HTTP.

mod left;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use http::{HeaderMap, HeaderValue, Method, header};
use runtime::HttpClient;
use runtime::sse::{EventStream, NoStream};
use serde::Deserialize;
use serde_json::{Value, json};
use topology::Epoch;
use topology::wire::header as wire;

use super::answer::{outcome, served};
use super::kept::{self, Kept};
use crate::history::{Failure, Kind, Outcome, Served, User, mark};
use crate::token;

/// Before and after the load nothing is broken: an answer takes milliseconds.
const ASK: Duration = Duration::from_secs(10);

/// What users ask; the answers are in every cell's knowledge base.
const QUESTIONS: [&str; 4] =
    ["hello", "how do I return an item?", "good morning", "how long does delivery take?"];

/// One client for all users, each with a token and a conversation.
pub(crate) struct Client {
    http: HttpClient,
    /// Of its own, so that a stream takes no connection that a request would have had.
    streams: HttpClient,
    base: String,
    run: String,
    users: Vec<UserOf>,
}

struct UserOf {
    bearer: HeaderValue,
    conversation: String,
    ticket: Option<Kept>,
}

/// A conversation that was opened, and who opened it.
pub(super) struct Opened {
    user: UserOf,
    pub(super) served: Option<Served>,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

impl Client {
    pub(crate) fn new(edge: SocketAddr, run: &str) -> Self {
        let (http, streams) = (HttpClient::default(), HttpClient::default());
        Self {
            http,
            streams,
            base: format!("http://{edge}"),
            run: run.to_owned(),
            users: Vec::new(),
        }
    }

    /// The same users, asking elsewhere.
    #[cfg(test)]
    pub(super) fn moved_to(self, edge: SocketAddr) -> Self {
        Self { base: format!("http://{edge}"), ..self }
    }

    pub(crate) fn user_count(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Opens a user's conversation, and the ticket they keep.
    pub(super) async fn open(
        &self,
        user: &str,
        identity_key: &str,
        keeps_ticket: bool,
    ) -> anyhow::Result<Opened> {
        let token = token::development(identity_key, user)?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).context("write a token")?;
        let body = json!({ "channel": "drill", "locale": "en" });
        let opened = self.create(&bearer, "/v1/conversations", user, &body).await;
        let (conversation, served) =
            opened.with_context(|| format!("open a conversation of {user}"))?;
        let mut ticket = None;
        if keeps_ticket {
            let body = kept::body(&self.run, user);
            let opened = self.create(&bearer, "/v1/tickets", user, &body).await;
            let (id, _) = opened.with_context(|| format!("open the ticket {user} keeps"))?;
            ticket = Some(Kept::new(id));
        }
        Ok(Opened { user: UserOf { bearer, conversation, ticket }, served })
    }

    /// Creates something that a user needs before the load begins; returns its id.
    async fn create(
        &self,
        bearer: &HeaderValue,
        path: &str,
        user: &str,
        body: &Value,
    ) -> anyhow::Result<(String, Option<Served>)> {
        let url = format!("{}{path}", self.base);
        let headers = headers(bearer, Some(&format!("{}{path}/{user}", self.run)))?;
        let answer = self.http.call(Method::POST, &url, headers, body.to_string(), ASK).await?;
        let created: Identified = answer.json(&url)?;
        Ok((created.id, served(&answer.headers)))
    }

    /// Takes a user in; its number is the next one.
    pub(super) fn add(&mut self, opened: Opened) {
        self.users.push(opened.user);
    }

    /// Returns the version of the ticket that a user keeps, as far as anybody was told.
    pub(super) fn seen_version(&self, user: usize) -> Option<u64> {
        self.users[user].ticket.as_ref().map(Kept::seen)
    }

    /// Sends one request of the load, once, and waits for its answer `within` that time. `from` is the
    /// version a transition is decided on.
    pub(super) async fn send(
        &self,
        kind: Kind,
        user: usize,
        number: u32,
        from: Option<u64>,
        within: Duration,
    ) -> (Outcome, Option<Served>) {
        let user = &self.users[user];
        let mark = mark(&self.run, number);
        let mut headers = match headers(&user.bearer, Some(&mark)) {
            Ok(headers) => headers,
            Err(_) => HeaderMap::new(),
        };
        let (method, path, body) = match (user.written(kind, number, &mark), &user.ticket) {
            (Some((path, body)), _) => (Method::POST, path, body),
            (None, Some(ticket)) => ticket.request(kind, from, &mut headers),
            // A load that is about kept tickets opens them first.
            (None, None) => return (Outcome::Fail(Failure::Dropped), None),
        };
        let body = if method == Method::GET { String::new() } else { body.to_string() };
        let url = format!("{}{path}", self.base);
        let sent = self.http.call(method, &url, headers, body, within).await;
        let (outcome, served) = outcome(kind, sent);
        if let (Some(ticket), Outcome::Ok(effect)) = (&user.ticket, &outcome) {
            ticket.told(effect);
        }
        (outcome, served)
    }

    /// Asks for a user's stream of their conversation, from after the message that was heard last.
    pub(super) async fn open_stream(
        &self,
        user: usize,
        after: Option<u64>,
        within: Duration,
    ) -> Result<EventStream, NoStream> {
        let UserOf { bearer, conversation, .. } = &self.users[user];
        let url = format!("{}/v1/conversations/{conversation}/events", self.base);
        let headers = [(header::AUTHORIZATION, bearer.clone())].into_iter().collect();
        let last = after.map(|seq| seq.to_string());
        EventStream::open_within(&self.streams, &url, headers, last.as_deref(), within).await
    }

    /// Asks a site for a ticket or a message, as a router would that has not heard of its successor.
    pub(crate) async fn ask_directly(
        &self,
        gateway: SocketAddr,
        (index, user): (usize, &User),
        epoch: Epoch,
        (kind, number): (Kind, u32),
        within: Duration,
    ) -> (Outcome, Option<Served>) {
        let mark = mark(&self.run, number);
        let Some((path, body)) = self.users[index].written(kind, number, &mark) else {
            return (Outcome::Fail(Failure::Dropped), None);
        };
        let said = [
            (wire::IDEMPOTENCY_KEY, mark.clone()),
            (wire::USER, user.name.clone()),
            (wire::SLOT, user.slot.to_string()),
            (wire::CELL, user.cell.to_string()),
            (wire::EPOCH, epoch.to_string()),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, text) in said {
            headers.extend(
                HeaderValue::try_from(text).map(|text| (http::HeaderName::from_static(name), text)),
            );
        }
        let url = format!("http://{gateway}{path}");
        let sent = self.http.call(Method::POST, &url, headers, body.to_string(), within);
        outcome(kind, sent.await)
    }
}

impl UserOf {
    /// Returns what this user writes, and where; nothing of what is about the ticket they keep.
    fn written(&self, kind: Kind, number: u32, mark: &str) -> Option<(String, Value)> {
        match kind {
            Kind::Ticket => Some((
                "/v1/tickets".to_owned(),
                json!({ "subject": mark, "description": "Written by a drill." }),
            )),
            Kind::Message => Some((
                format!("/v1/conversations/{}/messages", self.conversation),
                json!({
                    "text": QUESTIONS[number as usize % QUESTIONS.len()],
                    "client_message_id": mark,
                }),
            )),
            Kind::Transition | Kind::StrongRead | Kind::WeakRead => None,
        }
    }
}

fn headers(bearer: &HeaderValue, key: Option<&str>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, bearer.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let key = HeaderValue::try_from(key).context("write an idempotency key")?;
        headers.insert(wire::IDEMPOTENCY_KEY, key);
    }
    Ok(headers)
}
