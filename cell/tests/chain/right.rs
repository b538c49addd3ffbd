//! What the site's right to serve means for requests, with the database as it is.

use futures_util::FutureExt as _;
use serde_json::json;
use topology::wire::agent::TenureName;

use super::site::{Mood, Site};

#[tokio::test]
async fn every_answer_says_where_it_was_made() {
    let site = Site::serving().await;
    let answer = site.get("ada", "/v1/conversations").await;
    let told = ["x-bulkhead-cell", "x-bulkhead-region", "x-bulkhead-epoch"]
        .map(|name| answer.headers[name].to_str().unwrap());
    assert_eq!((answer.status, told), (200, ["c1", "east", "7"]));
}

#[tokio::test]
async fn a_site_that_does_not_serve_does_nothing() {
    let site = Site::serving().await;
    for (tenure, state) in [
        (TenureName::Standby, "failing-over"),
        (TenureName::Draining, "draining"),
        (TenureName::Fenced, "fenced"),
    ] {
        site.becomes(tenure, true);
        let answer = site.post("ada", "/v1/conversations", state, &json!({})).await;
        assert_eq!(
            (answer.status, &answer.headers["x-bulkhead-state"]),
            (503, &state.parse().unwrap())
        );
    }
    assert_eq!(site.database.count("SELECT count(*) FROM conversations").await, 0);
}

#[tokio::test]
async fn a_right_lost_before_the_answer_makes_its_outcome_unknown() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    *site.neighbours.nlp.lock().unwrap() = Mood::Silent;
    let text = json!({ "text": "hello" });
    let say = site.post("ada", &messages, "k", &text);
    tokio::pin!(say);
    // The message is being worked on: nlp does not answer for a while.
    while site.database.count("SELECT count(*) FROM messages").await == 0 {
        assert!(say.as_mut().now_or_never().is_none());
    }
    site.becomes(TenureName::Fenced, true);
    let answer = say.await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("outcome-unknown")));
    assert_eq!(answer.headers["x-bulkhead-outcome"], "unknown");
}

#[tokio::test]
async fn what_is_in_flight_is_finished_while_draining() {
    let site = Site::serving().await;
    let messages = site.conversation("ada").await + "/messages";
    *site.neighbours.nlp.lock().unwrap() = Mood::Silent;
    let text = json!({ "text": "hello" });
    let say = site.post("ada", &messages, "k", &text);
    tokio::pin!(say);
    while site.database.count("SELECT count(*) FROM messages").await == 0 {
        assert!(say.as_mut().now_or_never().is_none());
    }
    site.becomes(TenureName::Draining, true);
    assert_eq!(say.await.status, 201);
}
