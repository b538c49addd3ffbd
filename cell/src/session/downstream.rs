//! Asks nlp and knowledge: for a bounded time, and not at all while they keep failing.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use runtime::HttpClient;
use runtime::clock::BootTime;
use runtime::http_client::CallError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::decide::breaker::{Breaker, Outcome};
use super::decide::turn::{Channel, Found, Hit, Intent, SUGGESTIONS, Trouble};
use crate::nlp::understanding::FALLBACK;

/// One text takes nlp well under a millisecond; the rest is for a machine that is busy.
const NLP_TIME: Duration = Duration::from_millis(300);
const KNOWLEDGE_TIME: Duration = Duration::from_millis(500);
/// What a question is about is in its beginning; the services behind read no more.
const TEXT_MAX: usize = 2_000;

/// A neighbour, and whether it is worth asking.
pub(super) struct Downstream {
    http: HttpClient,
    url: String,
    time: Duration,
    /// What its absence is called.
    unavailable: Trouble,
    breaker: Mutex<Breaker>,
}

/// What nlp makes of a text, as it is kept with the reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parsed {
    pub intent: Named,
    #[serde(default)]
    pub entities: Vec<serde_json::Value>,
    #[serde(default)]
    pub model_version: Option<String>,
}

impl Parsed {
    /// Returns the topic's intent; `None` for small talk, and where nothing was understood.
    pub(super) fn topic(&self) -> Option<&str> {
        let name = self.intent.name.as_str();
        (Intent::of(name).is_topic() && name != FALLBACK).then_some(name)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Named {
    pub name: String,
    pub confidence: f64,
}

#[derive(Serialize)]
struct ParseRequest<'a> {
    text: &'a str,
    locale: &'a str,
}

/// What a question follows on.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_article: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_intent: Option<String>,
}

#[derive(Serialize)]
struct SearchRequest<'a> {
    text: &'a str,
    locale: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<&'a str>,
    top_k: usize,
    context: &'a Context,
}

#[derive(Deserialize)]
struct SearchAnswer {
    decision: SearchDecision,
    hits: Vec<FoundHit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SearchDecision {
    Answer,
    Suggest,
    None,
}

#[derive(Deserialize)]
struct FoundHit {
    article_id: String,
    matched_question: String,
    answer: String,
    score: f64,
    channel: FoundBy,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FoundBy {
    Exact,
    Intent,
    #[serde(other)]
    Words,
}

impl Downstream {
    pub(super) fn nlp(http: HttpClient, address: SocketAddr) -> Self {
        let url = format!("http://{address}/v1/nlu/parse");
        Self::new(http, url, NLP_TIME, Trouble::NluUnavailable)
    }

    pub(super) fn knowledge(http: HttpClient, address: SocketAddr) -> Self {
        let url = format!("http://{address}/v1/kb/search");
        Self::new(http, url, KNOWLEDGE_TIME, Trouble::KbUnavailable)
    }

    fn new(http: HttpClient, url: String, time: Duration, unavailable: Trouble) -> Self {
        Self { http, url, time, unavailable, breaker: Mutex::default() }
    }

    pub(super) async fn parse(&self, text: &str, locale: &str) -> Result<Parsed, Trouble> {
        self.ask(&ParseRequest { text: beginning(text), locale }).await
    }

    pub(super) async fn search(
        &self,
        text: &str,
        locale: &str,
        intent: Option<&str>,
        context: &Context,
    ) -> Result<Found, Trouble> {
        let text = beginning(text);
        let request = SearchRequest { text, locale, intent, top_k: SUGGESTIONS, context };
        let answer: SearchAnswer = self.ask(&request).await?;
        let hits = answer.hits.into_iter().map(|hit| Hit {
            article: hit.article_id,
            question: hit.matched_question,
            answer: hit.answer,
            score: hit.score,
            channel: match hit.channel {
                FoundBy::Exact => Channel::Exact,
                FoundBy::Intent => Channel::Intent,
                FoundBy::Words => Channel::Words,
            },
        });
        Ok(match answer.decision {
            SearchDecision::Answer => Found::Answer(hits.collect()),
            SearchDecision::Suggest => Found::Suggest(hits.take(SUGGESTIONS).collect()),
            SearchDecision::None => Found::Nothing,
        })
    }

    async fn ask<T: DeserializeOwned>(&self, request: &impl Serialize) -> Result<T, Trouble> {
        if !self.breaker(|breaker| breaker.asked(BootTime::now())) {
            return Err(Trouble::BreakerOpen);
        }
        let answer = self.http.post(&self.url, request, self.time).await;
        let outcome = if answer.is_ok() { Outcome::Success } else { Outcome::Failure };
        self.breaker(|breaker| (breaker.ended(outcome, BootTime::now()), ()));
        answer.map_err(|err| self.trouble(&err))
    }

    fn trouble(&self, err: &CallError) -> Trouble {
        match err {
            CallError::Timeout { .. } => Trouble::Timeout,
            CallError::Refused { status, .. }
                if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS]
                    .contains(status) =>
            {
                Trouble::Overload
            }
            CallError::Address { .. }
            | CallError::Connect { .. }
            | CallError::Send { .. }
            | CallError::Receive { .. }
            | CallError::Refused { .. }
            | CallError::Malformed { .. } => self.unavailable,
        }
    }

    /// Changes the breaker; what it becomes is logged when it opens and when it closes.
    fn breaker<T>(&self, change: impl FnOnce(Breaker) -> (Breaker, T)) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, told) = change(*breaker);
        match (&*breaker, &next) {
            (Breaker::Closed { .. }, Breaker::Open { .. }) => {
                warn!(url = self.url, "breaker opened");
            }
            (Breaker::Probing { .. }, Breaker::Closed { .. }) => {
                info!(url = self.url, "breaker closed");
            }
            (Breaker::Closed { .. } | Breaker::Open { .. } | Breaker::Probing { .. }, _) => {}
        }
        *breaker = next;
        told
    }
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(TEXT_MAX).map_or(text, |(end, _)| &text[..end])
}
