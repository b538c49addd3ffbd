use axum::http::{HeaderMap, Method};
use cell::session;
use futures_util::future::join_all;
use serde_json::json;
use topology::wire::agent::TenureName;

use super::barrier::waits;
use super::site::Site;

#[tokio::test]
async fn a_repeated_request_has_one_effect_and_one_answer() {
    let site = Site::serving().await;
    let body = json!({ "channel": "web", "metadata": { "a": 1, "b": 2 } });
    let first = site.post("ada", "/v1/conversations", "k1", &body).await;
    let again = site.post("ada", "/v1/conversations", "k1", &body).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert!(!is_replayed(&first.headers) && is_replayed(&again.headers));
    assert_eq!(site.database.count("SELECT count(*) FROM conversations").await, 1);

    let ticket = json!({ "subject": "s", "description": "d" });
    let first = site.post("ada", "/v1/tickets", "k2", &ticket).await;
    let again = site.post("ada", "/v1/tickets", "k2", &ticket).await;
    assert_eq!((first.status, again.status, &again.body), (201, 201, &first.body));
    assert_eq!(again.headers["etag"], first.headers["etag"]);
    assert!(!is_replayed(&first.headers) && is_replayed(&again.headers));
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);

    let path = first_conversation(&site).await + "/messages";
    let text = json!({ "text": "where is my refund?" });
    let first = site.post("ada", &path, "k3", &text).await;
    let again = site.post("ada", &path, "k3", &text).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert!(!is_replayed(&first.headers) && is_replayed(&again.headers));
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test]
async fn every_write_says_who_made_it_under_which_epoch_and_after_which_others() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    let ticket = json!({ "subject": "s", "description": "d" });
    site.post("ada", &messages, "k1", &json!({ "text": "hello" })).await;
    let opened = site.post("ada", "/v1/tickets", "k2", &ticket).await;
    let path = format!("/v1/tickets/{}/transitions", opened.body["id"].as_str().unwrap());
    let headers = [("if-match", "\"1\""), ("idempotency-key", "k3")];
    let to_open = json!({ "to": "open" });
    let moved = site.ask_with("ada", (Method::POST, &path), &headers, &to_open).await;
    assert_eq!((opened.status, moved.status), (201, 200));
    let first = written(&site).await;
    let by = |key: &str| (key.to_owned(), 7_i64, "c1@east".to_owned());
    assert_eq!(first, [by("k1"), by("k2"), by("k3")]);

    // What repeats a write makes none.
    site.post("ada", "/v1/tickets", "k2", &ticket).await;
    assert_eq!(written(&site).await, first);
}

/// Returns key, epoch and writer of ada's writes `k…` in the order of the log, as far as it goes.
async fn written(site: &Site) -> Vec<(String, i64, String)> {
    let rows = "SELECT key, epoch, writer FROM idempotency_keys
                WHERE key LIKE 'k_' AND lsn <= pg_current_wal_insert_lsn() ORDER BY lsn";
    let rows = site.database.as_owner(async |owner| owner.query(rows, &[]).await.unwrap()).await;
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn requests_repeated_at_the_same_moment_have_one_effect() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let messages = format!("{conversation}/messages");
    let text = json!({ "text": "where is my refund?" });
    let ticket = json!({ "subject": "s", "description": "d" });
    let said = join_all((0..6).map(|_| site.post("ada", &messages, "k1", &text))).await;
    let opened = join_all((0..6).map(|_| site.post("ada", "/v1/tickets", "k2", &ticket))).await;
    for (answers, table) in [(said, "messages WHERE author = 'contact'"), (opened, "tickets")] {
        assert!(
            answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body)
        );
        assert_eq!(site.database.count(&format!("SELECT count(*) FROM {table}")).await, 1);
    }
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test]
async fn a_key_used_for_another_request_is_refused() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let messages = format!("{conversation}/messages");
    site.post("ada", &messages, "k", &json!({ "text": "hello" })).await;
    for (path, body) in [
        (messages.as_str(), json!({ "text": "hello!" })),
        ("/v1/conversations", json!({})),
        ("/v1/tickets", json!({ "subject": "s", "description": "d" })),
    ] {
        let answer = site.post("ada", path, "k", &body).await;
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("idempotency-mismatch")));
    }
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
    // Somebody else's key is another key.
    assert_eq!(site.post("bob", "/v1/conversations", "k", &json!({})).await.status, 201);
}

#[tokio::test]
async fn what_creates_needs_a_key() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let messages = format!("{conversation}/messages");
    for (path, body) in [
        ("/v1/conversations", json!({})),
        ("/v1/tickets", json!({ "subject": "s", "description": "d" })),
        (messages.as_str(), json!({ "text": "hello" })),
    ] {
        let answer = site.post("ada", path, "", &body).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("idempotency-key-missing")));
    }
}

#[tokio::test]
async fn a_clients_own_message_id_is_as_good_as_a_key() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "hello", "client_message_id": "m1" });
    let first = site.post("ada", &messages, "", &text).await;
    let again = site.post("ada", &messages, "", &text).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert!(is_replayed(&again.headers));
    let other = json!({ "text": "bye", "client_message_id": "m1" });
    assert_eq!(site.post("ada", &messages, "", &other).await.status, 422);
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let site = Site::serving().await;
    let refused = site.post("ada", "/v1/tickets", "k", &json!({ "subject": "s" })).await;
    assert_eq!(refused.status, 400);
    let ticket = json!({ "subject": "s", "description": "d" });
    assert_eq!(site.post("ada", "/v1/tickets", "k", &ticket).await.status, 201);
}

#[tokio::test]
async fn before_the_barrier_nothing_is_replayed_and_nothing_strong_is_written() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "hello" });
    let first = site.post("ada", &messages, "k1", &text).await;
    site.becomes(TenureName::Serving, false);
    let ticket = json!({ "subject": "s", "description": "d" });
    let answer = site.post("ada", &messages, "k1", &text).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["x-bulkhead-state"], "failing-over");
    assert!(waits(&mut Box::pin(site.post("ada", "/v1/tickets", "k2", &ticket))).await);
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);
    // A weak write needs no barrier.
    assert_eq!(site.post("ada", &messages, "k3", &text).await.status, 201);
    site.becomes(TenureName::Serving, true);
    assert_eq!(site.post("ada", &messages, "k1", &text).await.body, first.body);
}

#[tokio::test]
async fn a_turn_cut_off_between_message_and_reply_is_finished_once() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "where is my refund?" });
    let first = site.post("ada", &messages, "k", &text).await;
    // As if the process had died after the first of the two transactions, a minute ago.
    site.database
        .as_owner(async |owner| {
            owner
                .batch_execute(
                    "INSERT INTO open_turns
                         SELECT slot, in_reply_to, conversation_id, now() - interval '1 minute'
                         FROM messages WHERE author = 'bot';
                     DELETE FROM messages WHERE author = 'bot'",
                )
                .await
                .unwrap();
        })
        .await;
    session::sweep(&site.session).await.unwrap();
    session::sweep(&site.session).await.unwrap();
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
    assert_eq!(site.database.count("SELECT count(*) FROM open_turns").await, 0);
    let again = site.post("ada", &messages, "k", &text).await;
    assert_eq!(again.body["message"], first.body["message"]);
    assert_eq!(again.body["reply"]["text"], "Within three days.");
}

#[tokio::test]
async fn a_repetition_finishes_a_turn_that_was_cut_off() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "where is my refund?" });
    site.post("ada", &messages, "k", &text).await;
    site.database
        .as_owner(async |owner| {
            owner.batch_execute("DELETE FROM messages WHERE author = 'bot'").await.unwrap();
        })
        .await;
    let again = site.post("ada", &messages, "k", &text).await;
    assert_eq!(again.status, 201);
    assert_eq!(again.body["reply"]["text"], "Within three days.");
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
}

async fn first_conversation(site: &Site) -> String {
    let list = site.get("ada", "/v1/conversations").await;
    format!("/v1/conversations/{}", list.body["data"][0]["id"].as_str().unwrap())
}

fn is_replayed(headers: &HeaderMap) -> bool {
    headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}
