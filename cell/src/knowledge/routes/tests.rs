use axum::body::{Body, to_bytes};
use axum::http;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::content;

#[tokio::test]
async fn a_question_of_an_article_is_answered_whatever_its_case_width_and_punctuation() {
    for (text, locale) in [("how do i track MY　package", "en"), ("帮我看一下物流信息！！", "zh")]
    {
        let (status, answer) = search_for(&json!({"text": text})).await;
        assert_eq!((status, &answer["decision"]), (200, &json!("answer")));
        assert_eq!(answer["locale"], locale);
        assert_eq!(answer["hits"][0]["article_id"], "track-order");
        assert_eq!(answer["hits"][0]["channel"], "exact");
        assert_eq!(answer["hits"][0]["score"], 1.0);
    }
}

#[tokio::test]
async fn a_text_about_something_else_finds_nothing() {
    for text in ["zxqv wvut", "今晚月亮很圆"] {
        let (_, answer) = search_for(&json!({"text": text})).await;
        assert_eq!((&answer["decision"], &answer["hits"]), (&json!("none"), &json!([])), "{text}");
    }
}

#[tokio::test]
async fn an_intent_brings_up_its_article_where_the_words_say_nothing() {
    let (_, without) = search_for(&json!({"text": "zxqv"})).await;
    let (_, with) = search_for(&json!({"text": "zxqv", "intent": "refund_status"})).await;
    assert_eq!((&without["decision"], &with["decision"]), (&json!("none"), &json!("suggest")));
    assert_eq!(with["hits"][0]["article_id"], "refund-status", "{with}");
    assert_eq!(with["hits"][0]["channel"], "intent");
}

#[tokio::test]
async fn a_follow_up_is_read_with_what_went_before() {
    let after = |article: &str| json!({"text": "那运费呢", "top_k": 1, "context": {"last_article": article}});
    let (_, buying) = search_for(&after("delivery-time")).await;
    let (_, returning) = search_for(&after("start-return")).await;
    assert_eq!(returning["hits"][0]["article_id"], "return-shipping-cost", "{returning}");
    assert_eq!(buying["hits"][0]["article_id"], "shipping-fee", "{buying}");
}

#[tokio::test]
async fn hits_are_as_many_as_asked_for_the_best_first() {
    let (_, answer) = search_for(&json!({"text": "How do I return an item?", "top_k": 10})).await;
    let scores: Vec<f64> = answer["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["score"].as_f64().unwrap())
        .collect();
    assert_eq!(scores.len(), 10);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[tokio::test]
async fn wrong_requests_are_told_where_they_are_wrong() {
    for (request, pointer) in [
        (json!({"text": []}), "/text"),
        (json!({"text": ""}), "/text"),
        (json!({"text": "长".repeat(2_001)}), "/text"),
        (json!({"text": "hi", "top_k": 0}), "/top_k"),
        (json!({"text": "hi", "top_k": 11}), "/top_k"),
        (json!({"text": "hi", "top_k": -1}), "/top_k"),
        (json!({"text": "hi", "context": {"last": "x"}}), "/context/last"),
        (json!({"text": "hi", "query": "x"}), "/query"),
    ] {
        let (status, problem) = search_for(&request).await;
        assert_eq!((status, &problem["code"]), (400, &json!("validation-error")), "{request}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{request}");
    }
}

#[tokio::test]
async fn an_article_is_told_in_the_asked_language() {
    let (_, chinese) = get_article("track-order?locale=zh-CN").await;
    assert_eq!((&chinese["locale"], &chinese["intent"]), (&json!("zh"), &json!("track_order")));
    let (_, english) = get_article("track-order?locale=en").await;
    assert_ne!(chinese["question"], english["question"]);
    assert_eq!(chinese["release"], english["release"]);
    let (status, problem) = get_article("nothing").await;
    assert_eq!((status, &problem["code"]), (404, &json!("not-found")));
}

async fn search_for(request: &Value) -> (u16, Value) {
    ask(http::Request::post("/v1/kb/search").body(Body::from(request.to_string())).unwrap()).await
}

async fn get_article(path: &str) -> (u16, Value) {
    ask(http::Request::get(format!("/v1/kb/articles/{path}")).body(Body::empty()).unwrap()).await
}

async fn ask(request: http::Request<Body>) -> (u16, Value) {
    static ROUTES: LazyLock<Router> =
        LazyLock::new(|| routes(Arc::new(Library::open(&content::KNOWLEDGE).unwrap())));
    let response = ROUTES.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}
