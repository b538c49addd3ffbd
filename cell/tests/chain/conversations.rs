use std::collections::BTreeSet;

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::site::{Mood, Site};

#[tokio::test]
async fn a_question_is_answered_from_the_knowledge_base() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let said = site.say("ada", &conversation, "where is my refund?").await;
    assert_eq!((&said["message"]["seq"], &said["reply"]["seq"]), (&json!(1), &json!(2)));
    assert_eq!(said["reply"]["text"], "Within three days.");
    assert_eq!(said["reply"]["in_reply_to"], said["message"]["id"]);
    assert_eq!(said["reply"]["source"]["article_id"], "refund-time");
    assert_eq!(said["reply"]["degraded"], false);

    let shown = site.get("ada", &conversation).await;
    assert_eq!((&shown.body["last_seq"], &shown.body["status"]), (&json!(2), &json!("bot")));
    let read = site.get("ada", &format!("{conversation}/messages")).await;
    assert_eq!(read.body["data"], json!([said["message"], said["reply"]]));
    let rest = site.get("ada", &format!("{conversation}/messages?after_seq=1&limit=1")).await;
    assert_eq!(rest.body["data"], json!([said["reply"]]));
}

#[tokio::test]
async fn what_may_be_meant_is_offered() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let said = site.say("ada", &conversation, "my money").await;
    assert_eq!(said["reply"]["type"], "choices");
    assert_eq!(said["reply"]["choices"][0]["text"], "When is my refund here?");
}

#[tokio::test]
async fn the_answer_is_in_the_language_of_the_question() {
    let site = Site::serving().await;
    let conversation = site.conversation("张伟").await;
    let zh = site.say("张伟", &conversation, "greet: 你好").await;
    assert_eq!(zh["reply"]["text"], "您好，很高兴为您服务！请问有什么可以帮您？");
    let en = site.say("张伟", &conversation, "greet: hello there").await;
    assert_eq!(en["reply"]["text"], "Hello! How can I help you today?");
}

#[tokio::test]
async fn without_nlp_or_knowledge_the_default_answer_is_given_and_the_message_kept() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    *site.neighbours.nlp.lock().unwrap() = Mood::Broken;
    let said = site.say("ada", &conversation, "where is my refund?").await;
    assert_eq!(said["reply"]["text"], "We are busy right now, please try again shortly");
    let told = |said: &Value| {
        (said["reply"]["degraded"].clone(), said["reply"]["degraded_reason"].clone())
    };
    assert_eq!(told(&said), (json!(true), json!("nlu_unavailable")));

    *site.neighbours.nlp.lock().unwrap() = Mood::Well;
    *site.neighbours.knowledge.lock().unwrap() = Mood::Silent;
    let said = site.say("ada", &conversation, "退款呢").await;
    assert_eq!(said["reply"]["text"], "当前咨询量较大，请稍后再试");
    assert_eq!(told(&said), (json!(true), json!("timeout")));
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 4);
}

#[tokio::test]
async fn a_neighbour_that_keeps_failing_is_not_asked_any_more() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    *site.neighbours.nlp.lock().unwrap() = Mood::Broken;
    let mut reasons = Vec::new();
    for _ in 0..6 {
        let said = site.say("ada", &conversation, "hello").await;
        reasons.push(said["reply"]["degraded_reason"].clone());
    }
    assert_eq!(reasons[4..], [json!("nlu_unavailable"), json!("breaker_open")]);
}

#[tokio::test]
async fn messages_sent_at_once_are_numbered_without_gaps() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let said = (0..12).map(|_| site.say("ada", &conversation, "where is my refund?"));
    let said = join_all(said).await;
    let numbers: BTreeSet<i64> = said
        .iter()
        .flat_map(|said| [&said["message"]["seq"], &said["reply"]["seq"]])
        .map(|seq| seq.as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=24).collect());
    for said in said {
        assert_eq!(said["reply"]["in_reply_to"], said["message"]["id"]);
        assert!(said["reply"]["seq"].as_i64() > said["message"]["seq"].as_i64());
    }
}

#[tokio::test]
async fn a_conversation_is_its_users_alone() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "hello").await;
    let messages = format!("{conversation}/messages");
    let events = format!("{conversation}/events");
    for path in [&conversation, &messages, &events] {
        assert_eq!(site.get("bob", path).await.status, 404, "{path}");
    }
    let sent = site.post("bob", &messages, "k", &json!({ "text": "hi" })).await;
    assert_eq!((sent.status, &sent.body["code"]), (404, &json!("not-found")));
    assert_eq!(site.get("bob", "/v1/conversations").await.body["data"], json!([]));
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let site = Site::serving().await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        begun.push(site.conversation("ada").await.replace("/v1/conversations/", ""));
    }
    begun.reverse();
    let (mut listed, mut path) = (Vec::new(), "/v1/conversations?limit=2".to_owned());
    loop {
        let page = site.get("ada", &path).await.body;
        let data = page["data"].as_array().unwrap();
        listed.extend(data.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["page"]["next_cursor"].as_str() else { break };
        path = format!("/v1/conversations?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, begun);
}

#[tokio::test]
async fn wrong_requests_are_told_where_they_are_wrong() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let messages = format!("{conversation}/messages");
    for (path, body, pointer) in [
        (messages.as_str(), json!({ "text": 1 }), "/text"),
        (&messages, json!({ "text": "hi", "txt": "" }), "/txt"),
        (&messages, json!({ "text": " " }), "/text"),
        (&messages, json!({ "text": "长".repeat(8_001) }), "/text"),
        (&messages, json!({ "text": "a\0b" }), "/text"),
        (&messages, json!({ "text": "hi", "locale": "zh CN" }), "/locale"),
        (&messages, json!({ "text": "hi", "client_message_id": "" }), "/client_message_id"),
        ("/v1/conversations", json!({ "metadata": [] }), "/metadata"),
        ("/v1/conversations", json!({ "metadata": { "a": ["\0"] } }), "/metadata"),
        ("/v1/conversations", json!({ "channel": "a b" }), "/channel"),
    ] {
        let answer = site.post("ada", path, "k", &body).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("validation-error")));
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{}", answer.body);
    }
    let long = json!({ "text": "x".repeat(70_000) });
    let answer = site.post("ada", &messages, "k", &long).await;
    assert_eq!((answer.status, &answer.body["code"]), (413, &json!("payload-too-large")));
    for query in ["limit=0", "limit=x", "offset=1"] {
        let answer = site.get("ada", &format!("{messages}?{query}")).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("validation-error")));
    }
    assert_eq!(site.get("ada", "/v1/nothing").await.body["code"], "not-found");
    let deleted = site.ask("ada", (Method::DELETE, &conversation), "", &Value::Null).await;
    assert_eq!((deleted.status, &deleted.body["code"]), (405, &json!("method-not-allowed")));
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 0);
}
