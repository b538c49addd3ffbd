//! What the site's right to serve means for requests, with the database as it is.

use std::sync::OnceLock;

use futures_util::FutureExt as _;
use serde_json::json;
use topology::wire::agent::TenureName;

use super::postgres::Postgres;
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

#[tokio::test]
async fn a_strong_write_that_no_standby_confirms_is_unknown_and_its_repetition_finds_it() {
    static ALONE: OnceLock<Postgres> = OnceLock::new();
    let site = Site::on(ALONE.get_or_init(Postgres::start)).await;
    standbys(&site, "ANY 1 (nobody)").await;
    let weak = site.post("ada", "/v1/conversations", "k1", &json!({})).await;
    assert_eq!(weak.status, 201);
    let ticket = json!({ "subject": "s", "description": "d" });
    let strong = site.post("ada", "/v1/tickets", "k2", &ticket).await;
    assert_eq!((strong.status, &strong.body["code"]), (503, &json!("outcome-unknown")));
    assert_eq!(strong.headers["x-bulkhead-outcome"], "unknown");

    standbys(&site, "").await;
    let again = site.post("ada", "/v1/tickets", "k2", &ticket).await;
    assert_eq!(again.status, 201);
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn a_cancelled_wait_for_a_standby_is_no_success() {
    static ALONE: OnceLock<Postgres> = OnceLock::new();
    let site = Site::on(ALONE.get_or_init(Postgres::start)).await;
    standbys(&site, "ANY 1 (nobody)").await;
    let ticket = json!({ "subject": "s", "description": "d" });
    let strong = site.post("ada", "/v1/tickets", "k", &ticket);
    let cancel = async {
        let cancelled = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                         WHERE wait_event = 'SyncRep'";
        while site.database.count(cancelled).await == 0 {}
    };
    let (strong, ()) = tokio::join!(strong, cancel);
    assert_eq!((strong.status, &strong.body["code"]), (503, &json!("outcome-unknown")));
}

/// Names the standbys that a strong commit waits for, and returns when it does.
async fn standbys(site: &Site, names: &str) {
    let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
    site.database
        .as_owner(async |owner| {
            owner.batch_execute(&set).await.unwrap();
            owner.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        })
        .await;
    let holds = format!(
        "SELECT count(*) FROM pg_settings
         WHERE name = 'synchronous_standby_names' AND setting = '{names}'"
    );
    while site.database.count(&holds).await == 0 {}
}
