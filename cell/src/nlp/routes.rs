//! `POST /v1/nlu/parse`: the answer has the shape of Rasa's.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use prometheus::{IntCounterVec, register_int_counter_vec};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::entity::Entity;
use super::model::Ranked;
use super::understanding::{FALLBACK, Understanding};
use crate::text::Language;

/// Longest text read, in characters: a long letter; nobody's intent needs more.
const TEXT_MAX: usize = 2_000;

static PARSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let counter = register_int_counter_vec!(
        "cell_nlp_parsed_total",
        "Texts read, by whether an intent was likely enough to act on",
        &["language", "outcome"]
    )
    .expect("registered once");
    for language in Language::ALL {
        for outcome in ["intent", "fallback"] {
            counter.with_label_values(&[language.tag(), outcome]);
        }
    }
    counter
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    text: String,
    locale: Option<String>,
}

#[derive(Serialize)]
struct Response {
    text: String,
    language: &'static str,
    intent: Intent,
    intent_ranking: Vec<Intent>,
    /// The confidence an intent needs; without it the intent is `fallback`.
    threshold: f64,
    entities: Vec<Entity>,
    model_version: String,
    took_us: u64,
}

#[derive(Serialize)]
struct Intent {
    name: String,
    confidence: f64,
}

pub(super) fn routes(understanding: Arc<Understanding>) -> Router {
    LazyLock::force(&PARSED);
    Router::new().route("/v1/nlu/parse", post(parse)).with_state(understanding)
}

async fn parse(
    State(understanding): State<Arc<Understanding>>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, Problem> {
    let started = Instant::now();
    check(&request.text)?;
    let meaning = understanding.read(&request.text, request.locale.as_deref());
    let outcome = if meaning.intent.intent == FALLBACK { "fallback" } else { "intent" };
    PARSED.with_label_values(&[meaning.language.tag(), outcome]).inc();
    Ok(Json(Response {
        language: meaning.language.tag(),
        intent: meaning.intent.into(),
        intent_ranking: meaning.ranking.into_iter().map(Intent::from).collect(),
        threshold: meaning.threshold,
        entities: meaning.entities,
        model_version: understanding.version().to_owned(),
        took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        text: request.text,
    }))
}

fn check(text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(invalid("/text", "the text is empty"));
    }
    if text.chars().count() > TEXT_MAX {
        return Err(invalid("/text", &format!("the text is longer than {TEXT_MAX} characters")));
    }
    Ok(())
}

impl From<Ranked<'_>> for Intent {
    fn from(ranked: Ranked<'_>) -> Self {
        // Four digits: more are noise, and make answers hard to read.
        let confidence = (ranked.confidence * 10_000.0).round() / 10_000.0;
        Self { name: ranked.intent.to_owned(), confidence }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::content;

    #[tokio::test]
    async fn a_text_is_answered_in_the_shape_of_rasa() {
        let (status, answer) = ask(&json!({"text": "我的订单１２３４５６７８９到哪了"})).await;
        assert_eq!(status, 200);
        assert_eq!(answer["language"], "zh");
        assert_eq!(answer["intent"]["name"], "track_order");
        assert_eq!(answer["intent_ranking"].as_array().unwrap().len(), 5);
        assert_eq!(answer["intent_ranking"][0], answer["intent"]);
        let entity = json!({"entity": "order_number", "start": 4, "end": 13, "value": "123456789"});
        assert_eq!(answer["entities"], json!([entity]));
    }

    #[tokio::test]
    async fn a_text_about_nothing_known_is_a_fallback() {
        let (_, answer) = ask(&json!({"text": "zxqv wvut qqqq"})).await;
        assert_eq!(answer["intent"]["name"], "fallback");
    }

    #[tokio::test]
    async fn wrong_requests_are_told_where_they_are_wrong() {
        for (request, pointer) in [
            (json!({"text": 1}), "/text"),
            (json!({"text": "hi", "locale": ["en"]}), "/locale"),
            (json!({"text": "hi", "language": "en"}), "/language"),
            (json!({"text": " \n"}), "/text"),
            (json!({"text": "长".repeat(2_001)}), "/text"),
            (json!({}), ""),
            (json!([]), ""),
        ] {
            let (status, problem) = ask(&request).await;
            assert_eq!(status, 400, "{request}");
            assert_eq!(problem["code"], "validation-error");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{request}");
        }
        let (status, _) = ask(&json!({"text": "长".repeat(2_000)})).await;
        assert_eq!(status, 200);
    }

    async fn ask(request: &Value) -> (u16, Value) {
        static ROUTES: LazyLock<Router> =
            LazyLock::new(|| routes(Arc::new(Understanding::learn(&content::NLU).unwrap())));
        let request = http::Request::post("/v1/nlu/parse").body(Body::from(request.to_string()));
        let response = ROUTES.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }
}
