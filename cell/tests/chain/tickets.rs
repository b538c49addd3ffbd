use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::site::{Answer, Site};

#[tokio::test]
async fn a_ticket_moves_on_and_its_history_says_how() {
    let site = Site::serving().await;
    let ticket = open(&site, "k").await;
    let id = ticket.body["id"].as_str().unwrap();
    assert_eq!((&ticket.body["status"], &ticket.body["version"]), (&json!("new"), &json!(1)));
    let moved = site.go("ada", id, "\"1\"", &json!({ "to": "open" })).await;
    assert_eq!((moved.status, &moved.body["status"]), (200, &json!("open")));
    assert_eq!(moved.headers["etag"], "\"2\"");
    let solved = json!({ "to": "solved", "reason": "sent again" });
    assert_eq!(site.go("ada", id, "\"2\"", &solved).await.status, 200);

    let history = site.get("ada", &format!("/v1/tickets/{id}/history")).await.body;
    let steps: Vec<_> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["from"].clone(), step["to"].clone(), step["reason"].clone()))
        .collect();
    let expected = [
        (Value::Null, json!("new"), Value::Null),
        (json!("new"), json!("open"), Value::Null),
        (json!("open"), json!("solved"), json!("sent again")),
    ];
    assert_eq!(steps, expected);
}

#[tokio::test]
async fn where_a_ticket_cannot_go_it_is_told_where_it_can() {
    let site = Site::serving().await;
    let ticket = open(&site, "k").await;
    let id = ticket.body["id"].as_str().unwrap();
    let refused = site.go("ada", id, "\"1\"", &json!({ "to": "closed" })).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("illegal-transition")));
    let allowed = json!(["open", "pending", "on_hold", "solved", "cancelled"]);
    assert_eq!(refused.body["allowed"], allowed);
    let unknown = site.go("ada", id, "\"1\"", &json!({ "to": "lost" })).await;
    assert_eq!((unknown.status, &unknown.body["errors"][0]["pointer"]), (400, &json!("/to")));
}

#[tokio::test]
async fn a_transition_names_the_version_it_was_decided_on() {
    let site = Site::serving().await;
    let ticket = open(&site, "k").await;
    let id = ticket.body["id"].as_str().unwrap();
    let path = format!("/v1/tickets/{id}/transitions");
    let without = site.post("ada", &path, "", &json!({ "to": "open" })).await;
    assert_eq!((without.status, &without.body["code"]), (428, &json!("precondition-required")));
    let stale = site.go("ada", id, "\"7\"", &json!({ "to": "open" })).await;
    assert_eq!((stale.status, &stale.body["version"]), (412, &json!(1)));
    // Of many who decide on the same version one wins.
    let to_open = json!({ "to": "open" });
    let all = join_all((0..5).map(|_| site.go("ada", id, "\"1\"", &to_open))).await;
    let mut statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412]);
}

#[tokio::test]
async fn a_repeated_transition_is_answered_as_before() {
    let site = Site::serving().await;
    let ticket = open(&site, "k1").await;
    let path = format!("/v1/tickets/{}/transitions", ticket.body["id"].as_str().unwrap());
    let headers = [("if-match", "\"1\""), ("idempotency-key", "k2")];
    let to_open = json!({ "to": "open" });
    let first = site.ask_with("ada", (Method::POST, &path), &headers, &to_open).await;
    let again = site.ask_with("ada", (Method::POST, &path), &headers, &to_open).await;
    assert_eq!((first.status, again.status, &again.body), (200, 200, &first.body));
}

#[tokio::test]
async fn tickets_of_a_slot_are_numbered_without_gaps() {
    let site = Site::serving().await;
    let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
    let opened = join_all(keys.iter().map(|key| open(&site, key))).await;
    let mut numbers: Vec<String> =
        opened.iter().map(|ticket| ticket.body["number"].as_str().unwrap().to_owned()).collect();
    numbers.sort_unstable();
    // ada's slot is 47, 1B in base 36.
    let expected: Vec<String> = (1..=8).map(|n| format!("T-1B-{n}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn a_ticket_is_its_users_alone() {
    let site = Site::serving().await;
    let ticket = open(&site, "k").await;
    let id = ticket.body["id"].as_str().unwrap();
    let path = format!("/v1/tickets/{id}");
    assert_eq!(site.get("ada", &path).await.headers["etag"], "\"1\"");
    assert_eq!(site.get("bob", &path).await.status, 404);
    assert_eq!(site.get("bob", &format!("{path}/history")).await.status, 404);
    assert_eq!(site.go("bob", id, "\"1\"", &json!({ "to": "open" })).await.status, 404);
    assert_eq!(site.get("bob", "/v1/tickets").await.body["data"], json!([]));
}

async fn open(site: &Site, key: &str) -> Answer {
    let ticket = json!({ "subject": "s", "description": "d" });
    let answer = site.post("ada", "/v1/tickets", key, &ticket).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer
}

impl Site {
    async fn go(&self, user: &str, ticket: &str, seen: &str, body: &Value) -> Answer {
        let path = format!("/v1/tickets/{ticket}/transitions");
        self.ask_with(user, (Method::POST, &path), &[("if-match", seen)], body).await
    }
}
