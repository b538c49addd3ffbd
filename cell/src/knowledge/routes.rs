//! `POST /v1/kb/search` and `GET /v1/kb/articles/{id}`.

use std::sync::{Arc, LazyLock};

use axum::extract::{Path, Query as QueryString, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus::{IntCounterVec, register_int_counter_vec};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::{Deserialize, Serialize};

use super::library::Library;
use super::relevance::Decision;
use super::shelf::{Channel, Hit, Query, Shelf};
use crate::text::Language;

/// Longest text searched for, in characters; as long as the nlp service reads.
const TEXT_MAX: usize = 2_000;
/// Hits told if the request does not say: as many as are offered to choose from.
const HITS: usize = 3;
const HITS_MAX: usize = 10;

static SEARCHED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let counter = register_int_counter_vec!(
        "cell_knowledge_searched_total",
        "Searches, by what was decided",
        &["language", "decision"]
    )
    .expect("registered once");
    for language in Language::ALL {
        for decision in Decision::ALL {
            counter.with_label_values(&[language.tag(), decision.name()]);
        }
    }
    counter
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    text: String,
    locale: Option<String>,
    intent: Option<String>,
    top_k: Option<usize>,
    #[serde(default)]
    context: Context,
}

/// What the conversation was about until now.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    last_article: Option<String>,
    last_intent: Option<String>,
}

#[derive(Serialize)]
struct Response {
    locale: &'static str,
    release: String,
    decision: Decision,
    hits: Vec<FoundArticle>,
}

#[derive(Serialize)]
struct FoundArticle {
    article_id: String,
    score: f64,
    matched_question: String,
    answer: String,
    category: String,
    channel: &'static str,
}

#[derive(Serialize)]
struct WholeArticle {
    article_id: String,
    locale: &'static str,
    release: String,
    category: String,
    intent: Option<String>,
    question: String,
    similar: Vec<String>,
    answer: String,
}

#[derive(Deserialize)]
struct Locale {
    locale: Option<String>,
}

pub(super) fn routes(library: Arc<Library>) -> Router {
    LazyLock::force(&SEARCHED);
    Router::new()
        .route("/v1/kb/search", post(search))
        .route("/v1/kb/articles/{id}", get(article))
        .with_state(library)
}

async fn search(
    State(library): State<Arc<Library>>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, Problem> {
    check(&request)?;
    let language = Language::choose(&request.text, request.locale.as_deref());
    let query = Query {
        text: &request.text,
        intent: request.intent.as_deref(),
        last_article: request.context.last_article.as_deref(),
        last_intent: request.context.last_intent.as_deref(),
    };
    let limit = request.top_k.unwrap_or(HITS);
    let hits = shelf(&library, language)?.search(&query, limit).map_err(|err| {
        tracing::error!(error = format!("{err:#}"), "search failed");
        Problem::new(500, "internal", "The search failed")
    })?;
    let decision = Decision::of(hits.first().map(|hit| hit.score));
    SEARCHED.with_label_values(&[language.tag(), decision.name()]).inc();
    let hits = match decision {
        Decision::Answer => hits,
        Decision::Suggest => hits.into_iter().take(HITS).collect(),
        Decision::None => Vec::new(),
    };
    Ok(Json(Response {
        locale: language.tag(),
        release: library.release().to_owned(),
        decision,
        hits: hits.into_iter().map(FoundArticle::from).collect(),
    }))
}

async fn article(
    State(library): State<Arc<Library>>,
    Path(id): Path<String>,
    QueryString(asked): QueryString<Locale>,
) -> Result<Json<WholeArticle>, Problem> {
    let language = asked.locale.as_deref().and_then(Language::of_locale).unwrap_or(Language::En);
    let found = shelf(&library, language)?.article(&id).ok_or_else(|| {
        Problem::new(404, "not-found", "No such article")
            .detail(format!("no article {id} in {}", language.tag()))
    })?;
    Ok(Json(WholeArticle {
        article_id: found.id.clone(),
        locale: language.tag(),
        release: library.release().to_owned(),
        category: found.category.clone(),
        intent: found.intent.clone(),
        question: found.question.clone(),
        similar: found.similar.clone(),
        answer: found.answer.clone(),
    }))
}

fn check(request: &Request) -> Result<(), Problem> {
    if request.text.trim().is_empty() {
        return Err(invalid("/text", "the text is empty"));
    }
    if request.text.chars().count() > TEXT_MAX {
        return Err(invalid("/text", &format!("the text is longer than {TEXT_MAX} characters")));
    }
    if request.top_k.is_some_and(|hits| !(1..=HITS_MAX).contains(&hits)) {
        return Err(invalid("/top_k", &format!("expected 1 to {HITS_MAX}")));
    }
    Ok(())
}

fn shelf(library: &Library, language: Language) -> Result<&Shelf, Problem> {
    library.shelf(language).ok_or_else(|| {
        Problem::new(404, "not-found", "No articles in this language").detail(language.tag())
    })
}

impl From<Hit<'_>> for FoundArticle {
    fn from(hit: Hit<'_>) -> Self {
        Self {
            article_id: hit.article.id.clone(),
            score: (hit.score * 10_000.0).round() / 10_000.0,
            matched_question: hit.matched_question.to_owned(),
            answer: hit.article.answer.clone(),
            category: hit.article.category.clone(),
            channel: match hit.channel {
                Channel::Exact => "exact",
                Channel::Intent => "intent",
                Channel::Bm25 => "bm25",
            },
        }
    }
}

#[cfg(test)]
mod tests;
