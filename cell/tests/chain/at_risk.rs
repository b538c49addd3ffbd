//! Too few voters for a strong commit: what is refused, and what goes on.

use axum::http::Method;
use cell::session;
use serde_json::{Value, json};
use topology::spec::Durability;
use topology::wire::agent::TenureName;

use super::barrier::waits;
use super::postgres::Postgres;
use super::site::{Answer, Site};

#[tokio::test]
async fn strong_writes_are_refused_before_they_do_anything() {
    let site = Site::serving().await;
    let ticket = json!({ "subject": "s", "description": "d" });
    let opened = site.post("ada", "/v1/tickets", "k1", &ticket).await;
    let id = opened.body["id"].as_str().unwrap();
    let transitions = format!("/v1/tickets/{id}/transitions");
    let before = refused_at_risk();
    for open in [true, false] {
        site.is_at_risk(open);
        for (path, key, body) in [
            ("/v1/tickets", "k1", &ticket),
            ("/v1/tickets", "k2", &ticket),
            (transitions.as_str(), "k3", &json!({ "to": "open" })),
        ] {
            is_refused(&site.post("ada", path, key, body).await);
        }
    }
    assert!(refused_at_risk() >= before + 6.0);
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
    assert_eq!(site.database.count("SELECT count(*) FROM idempotency_keys").await, 1);
    site.becomes(TenureName::Serving, true);
    assert_eq!(site.post("ada", "/v1/tickets", "k2", &ticket).await.status, 201);
}

#[tokio::test]
async fn reads_and_weak_writes_go_on_and_are_repeated_as_ever() {
    let site = Site::serving().await;
    for open in [true, false] {
        site.is_at_risk(open);
        let conversation = site.conversation("ada").await;
        let messages = format!("{conversation}/messages");
        let text = json!({ "text": "where is my refund?" });
        let first = site.post("ada", &messages, &messages, &text).await;
        let again = site.post("ada", &messages, &messages, &text).await;
        assert_eq!((first.status, again.status, &again.body), (201, 201, &first.body));
        assert_eq!(first.body["reply"]["text"], "Within three days.");
        assert_eq!(first.body["reply"]["degraded"], false);
        let shown = site.get("ada", &conversation).await;
        assert!(!shown.headers.contains_key("x-bulkhead-stale"));
        assert_eq!((shown.status, &shown.body["last_seq"]), (200, &json!(2)));
    }
}

#[tokio::test]
async fn a_strong_read_before_the_barrier_says_that_it_may_not_last() {
    let site = Site::serving().await;
    let ticket = json!({ "subject": "s", "description": "d" });
    site.post("ada", "/v1/tickets", "k", &ticket).await;
    for (open, stale) in [(true, None), (false, Some("unknown"))] {
        site.is_at_risk(open);
        let shown = site.get("ada", "/v1/tickets").await;
        assert_eq!((shown.status, shown.body["data"].as_array().unwrap().len()), (200, 1));
        let marked = shown.headers.get("x-bulkhead-stale").map(|mark| mark.to_str().unwrap());
        assert_eq!(marked, stale);
        let is_kept = shown.headers.get("cache-control").is_none_or(|kept| kept != "no-store");
        assert_eq!(is_kept, open);
    }
}

#[tokio::test]
async fn who_wants_no_old_answer_is_shown_nothing_before_the_barrier() {
    let site = Site::serving().await;
    let ticket = json!({ "subject": "s", "description": "d" });
    site.post("ada", "/v1/tickets", "k", &ticket).await;
    let conversation = site.conversation("ada").await;
    for directives in ["no-cache", "max-age=0, No-Cache"] {
        let ask = async |path: &str| {
            let headers = [("cache-control", directives)];
            site.ask_with("ada", (Method::GET, path), &headers, &Value::Null).await
        };
        site.is_at_risk(true);
        let shown = ask("/v1/tickets").await;
        assert_eq!((shown.status, shown.headers.contains_key("x-bulkhead-stale")), (200, false));
        site.is_at_risk(false);
        is_refused(&ask("/v1/tickets").await);
        assert_eq!(ask(&conversation).await.status, 200, "weak ones go on");
        // With enough voters the barrier is about to be passed.
        site.becomes(TenureName::Serving, false);
        let mut asked = Box::pin(ask("/v1/tickets"));
        assert!(waits(&mut asked).await);
        site.becomes(TenureName::Serving, true);
        let shown = asked.await;
        assert_eq!((shown.status, shown.headers.contains_key("x-bulkhead-stale")), (200, false));
    }
}

#[tokio::test]
async fn who_asks_for_a_person_is_told_that_it_takes_longer_and_gets_one_ticket_then() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.is_at_risk(true);
    for text in ["human_agent: a person, please", "complaint: hello?"] {
        let said = site.say("ada", &conversation, text).await;
        let reply = &said["reply"];
        assert_eq!(
            (&reply["degraded"], &reply["degraded_reason"]),
            (&json!(true), &json!("at_risk"))
        );
        assert!(reply["text"].as_str().unwrap().contains("pass it on as soon as I can"));
    }
    assert_eq!(site.get("ada", &conversation).await.body["status"], "bot");
    session::relay(&site.session).await.unwrap();
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);

    site.becomes(TenureName::Serving, true);
    session::relay(&site.session).await.unwrap();
    session::relay(&site.session).await.unwrap();
    let shown = site.get("ada", &conversation).await.body;
    assert_eq!(shown["status"], "queued");
    let tickets = site.get("ada", "/v1/tickets").await.body["data"].clone();
    let described: Vec<&Value> =
        tickets.as_array().unwrap().iter().map(|ticket| &ticket["description"]).collect();
    assert_eq!(described, [&json!("human_agent: a person, please")]);
    assert_eq!(shown["ticket_id"], tickets[0]["id"]);
}

#[tokio::test]
async fn a_turn_cut_off_is_finished_all_the_same() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "human_agent: a person, please").await;
    site.database
        .as_owner(async |owner| {
            owner
                .batch_execute(
                    "INSERT INTO open_turns
                         SELECT slot, in_reply_to, conversation_id, now() - interval '1 minute'
                         FROM messages WHERE author = 'bot';
                     DELETE FROM messages WHERE author = 'bot';
                     DELETE FROM outbox; UPDATE conversations SET status = 'bot'",
                )
                .await
                .unwrap();
        })
        .await;
    site.is_at_risk(false);
    session::sweep(&site.session).await.unwrap();
    let postponed = "SELECT count(*) FROM messages WHERE degraded_reason = 'at_risk'";
    assert_eq!(site.database.count(postponed).await, 1);
    assert_eq!(site.database.count("SELECT count(*) FROM open_turns").await, 0);
}

#[tokio::test]
async fn where_messages_are_strong_they_are_refused_as_tickets_are() {
    let database = Postgres::shared().database().await;
    let site = Site::of(database, Durability::Strong).await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "hello" });
    let first = site.post("ada", &messages, "k1", &text).await;
    assert_eq!(first.status, 201);
    site.is_at_risk(true);
    for (path, key, body) in [
        (messages.as_str(), "k1", &text),
        (&messages, "k2", &text),
        ("/v1/conversations", "k3", &json!({})),
    ] {
        is_refused(&site.post("ada", path, key, body).await);
    }
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
    assert_eq!(site.database.count("SELECT count(*) FROM conversations").await, 1);
    assert_eq!(site.get("ada", &messages).await.status, 200);
}

fn is_refused(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("at-risk")), "{}", answer.body);
    assert_eq!(answer.body["type"], "/problems/at-risk");
    assert_eq!(answer.headers["retry-after"], "2");
    // A router waits with a request whose answer has one of these.
    assert!(!answer.headers.contains_key("x-bulkhead-state"));
    assert!(!answer.headers.contains_key("x-bulkhead-outcome"));
    assert_eq!(answer.headers["x-bulkhead-refused"], "at-risk");
}

fn refused_at_risk() -> f64 {
    let families = prometheus::gather();
    let refused = families.iter().find(|family| family.name() == "cell_refused_total").unwrap();
    let at_risk = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == "at_risk";
    refused.get_metric().iter().find(at_risk).unwrap().get_counter().get_value()
}
