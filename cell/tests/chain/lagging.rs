//! Voters that are far behind: a weak write is answered only when they have it.

use futures_util::FutureExt as _;
use serde_json::json;
use topology::wire::agent::TenureName;

use super::postgres::{Pair, Postgres};
use super::site::Site;

#[tokio::test]
async fn while_the_voters_lag_a_message_is_answered_only_when_one_has_it() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    let messages = site.conversation("ada").await + "/messages";
    pair.waits_for("nobody").await;
    let text = json!({ "text": "where is my refund?" });
    assert_eq!(site.post("ada", &messages, "k1", &text).await.status, 201, "weak as ever");

    site.is_lagging();
    let mut said = Box::pin(site.post("ada", &messages, "k2", &text));
    while site.database.waiting().await == 0 {
        let early = said.as_mut().now_or_never();
        assert!(early.is_none(), "answered without a voter: {}", early.unwrap().body);
    }
    // It is committed, and nobody waits for its rows.
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 3);
    site.becomes(TenureName::Serving, true);
    assert_eq!(site.post("ada", &messages, "k3", &text).await.status, 201);
    site.is_lagging();
    pair.waits_for("voter").await;
    assert_eq!(said.await.status, 201);
    assert_eq!(site.post("ada", &messages, "k4", &text).await.status, 201);
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 8);
}

#[tokio::test]
async fn while_the_voters_lag_reads_wait_for_nobody() {
    let site = Site::on(Postgres::without_voters()).await;
    let conversation = site.conversation("ada").await;
    site.is_lagging();
    for path in [conversation.as_str(), &format!("{conversation}/messages"), "/v1/tickets"] {
        assert_eq!(site.get("ada", path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn once_the_voters_are_gone_a_message_that_waited_for_them_is_repeated_without_them() {
    let site = Site::on(Postgres::without_voters()).await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "where is my refund?" });
    site.is_lagging();
    let late = site.post("ada", &messages, "k", &text).await;
    assert_eq!((late.status, &late.body["code"]), (503, &json!("outcome-unknown")));
    site.is_at_risk(true);
    let again = site.post("ada", &messages, "k", &text).await;
    assert_eq!((again.status, &again.body["reply"]["degraded"]), (201, &json!(false)));
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
}
