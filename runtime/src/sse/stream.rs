//! A server's events as they come, from after the last one that was heard.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Message, Parser};
use crate::HttpClient;
use crate::http_client::{Answer, CallError, received};

/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(2);
/// Our streams have a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// Longest event; ours are a hundredth of it.
const EVENT_MAX: usize = 1024 * 1024;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum NoStream {
    /// The server says something else than a stream.
    #[error("asked for events, it answered {}", .0.status)]
    Refused(Answer),
    #[error(transparent)]
    Lost(#[from] CallError),
}

/// Open as long as it is kept.
pub struct EventStream {
    peer: String,
    headers: HeaderMap,
    body: Incoming,
    parser: Parser,
    heard: VecDeque<Message>,
}

impl EventStream {
    /// Asks for what comes after the event with the id `last`; for what comes from now on without.
    pub async fn open(
        http: &HttpClient,
        url: &str,
        headers: HeaderMap,
        last: Option<&str>,
    ) -> Result<Self, NoStream> {
        Self::open_within(http, url, headers, last, BEGIN).await
    }

    /// The same of a server that may take so long to begin.
    pub async fn open_within(
        http: &HttpClient,
        url: &str,
        mut headers: HeaderMap,
        last: Option<&str>,
        begin: Duration,
    ) -> Result<Self, NoStream> {
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        // What is no header's value is no id that was given out.
        if let Some(id) = last.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert("last-event-id", id);
        }
        let (peer, answer) = http.begin(url, headers, begin).await?;
        if !answer.status().is_success() {
            let why = tokio::time::timeout(BEGIN, received(&peer, answer)).await;
            let late = |_elapsed| CallError::Timeout { peer, after: BEGIN };
            return Err(NoStream::Refused(why.map_err(late)??));
        }
        let (parts, body) = answer.into_parts();
        let headers = parts.headers;
        Ok(Self { peer, headers, body, parser: Parser::default(), heard: VecDeque::new() })
    }

    /// Returns what the server said of the stream when it began.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the next event, or `None` at the stream's end. Nothing is lost if it is not waited for.
    pub async fn next(&mut self) -> Result<Option<Message>, CallError> {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(Some(message));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame());
            let frame = frame.await.map_err(|_elapsed| CallError::Timeout {
                peer: self.peer.clone(),
                after: SILENCE,
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let broken = |source| CallError::Receive { peer: self.peer.clone(), source };
            let frame = frame.map_err(|err| broken(Box::new(err)))?;
            let Ok(chunk) = frame.into_data() else { continue };
            self.heard.extend(self.parser.push(&chunk));
            if self.parser.pending() > EVENT_MAX {
                return Err(broken("an event is longer than 1 MiB".into()));
            }
        }
    }
}
