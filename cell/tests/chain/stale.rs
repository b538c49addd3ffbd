//! A standby site that answers reads which may be old, from its own PostgreSQL.

use axum::http::Method;
use serde_json::{Value, json};
use topology::spec::Durability;
use topology::wire::agent::TenureName;

use super::postgres::{Pair, Postgres};
use super::site::{Answer, Site};

const STALE_OK: (&str, &str) = ("x-bulkhead-stale-ok", "1");

#[tokio::test]
async fn a_standby_shows_what_it_has_heard_of_and_says_how_old_it_may_be() {
    let (pair, _turn) = Pair::alone().await;
    let active = Site::on(&pair.primary).await;
    let conversation = active.conversation("ada").await;
    let said = active.say("ada", &conversation, "where is my refund?").await;
    let ticket = json!({ "subject": "s", "description": "d" });
    let ticket = active.post("ada", "/v1/tickets", "k", &ticket).await;
    pair.standby_shows_all().await;
    let standby = Site::of(pair.standby.copy(&active.database), Durability::Weak).await;

    for tenure in [TenureName::Standby, TenureName::Fenced] {
        standby.becomes(tenure, false);
        let messages = read(&standby, &format!("{conversation}/messages")).await;
        assert_eq!(messages.body["data"], json!([said["message"], said["reply"]]));
        let tickets = read(&standby, "/v1/tickets").await;
        assert_eq!(tickets.body["data"], json!([ticket.body]));
        for answer in [messages, tickets, read(&standby, "/v1/conversations/cnv_0").await] {
            let age = answer.headers["x-bulkhead-stale"].to_str().unwrap();
            assert!(age.parse::<u64>().is_ok_and(|age| age < 600), "{age}");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }
}

#[tokio::test]
async fn only_reads_that_say_so_are_answered_by_a_standby() {
    let (pair, _turn) = Pair::alone().await;
    let active = Site::on(&pair.primary).await;
    let conversation = active.conversation("ada").await;
    pair.standby_shows_all().await;
    let standby = Site::of(pair.standby.copy(&active.database), Durability::Weak).await;
    standby.becomes(TenureName::Standby, false);
    let events = format!("{conversation}/events");
    let ticket = json!({ "subject": "s", "description": "d" });
    for (method, path, headers, body) in [
        (Method::GET, conversation.as_str(), [("accept", "*/*")], &Value::Null),
        (Method::GET, &conversation, [("x-bulkhead-stale-ok", "0")], &Value::Null),
        (Method::GET, &events, [STALE_OK], &Value::Null),
        (Method::POST, "/v1/tickets", [STALE_OK], &ticket),
        (Method::POST, "/v1/conversations", [STALE_OK], &json!({})),
    ] {
        let answer = standby.ask_with("ada", (method, path), &headers, body).await;
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("failing-over")), "{path}");
        assert_eq!(answer.headers["x-bulkhead-state"], "failing-over", "{path}");
    }
    standby.becomes(TenureName::Draining, false);
    let answer =
        standby.ask_with("ada", (Method::GET, &conversation), &[STALE_OK], &Value::Null).await;
    assert_eq!(answer.body["code"], "draining");
}

#[tokio::test]
async fn an_active_site_answers_as_ever() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let answer = read(&site, &conversation).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("x-bulkhead-stale"));
}

#[tokio::test]
async fn a_standby_that_is_being_rebuilt_has_nothing_to_show() {
    static NOWHERE: std::sync::OnceLock<Postgres> = std::sync::OnceLock::new();
    let some = Postgres::shared().database().await;
    let gone = NOWHERE.get_or_init(Postgres::nowhere).copy(&some);
    let site = Site::of(gone, Durability::Weak).await;
    site.becomes(TenureName::Standby, false);
    let answer = read(&site, "/v1/conversations").await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("failing-over")));
}

async fn read(site: &Site, path: &str) -> Answer {
    site.ask_with("ada", (Method::GET, path), &[STALE_OK], &Value::Null).await
}
