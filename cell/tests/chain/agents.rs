//! What agents may do: see everybody's conversations and tickets by their ids, move tickets on, and
//! nothing that is a contact's own to do.

use axum::http::Method;
use serde_json::{Value, json};
use topology::Slot;

use super::site::{Answer, Site};

#[tokio::test]
async fn an_agent_sees_a_contacts_conversation_and_its_messages() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "hello").await;
    for role in ["agent", "service"] {
        let seen = site.as_role(role, Some("ada"), Method::GET, &conversation, &Value::Null).await;
        assert_eq!(seen.status, 200, "{role}: {}", seen.body);
        let messages = format!("{conversation}/messages");
        let seen = site.as_role(role, Some("ada"), Method::GET, &messages, &Value::Null).await;
        assert_eq!((seen.status, &seen.body["data"][0]["text"]), (200, &json!("hello")));
    }
    // Another contact still does not.
    let asked = site.as_role("contact", Some("eve"), Method::GET, &conversation, &Value::Null);
    assert_eq!(asked.await.status, 404);
}

#[tokio::test]
async fn an_agent_moves_a_contacts_ticket_on_and_its_history_says_who() {
    let site = Site::serving().await;
    let new = json!({ "subject": "late", "description": "where is it" });
    let ticket = site.post("ada", "/v1/tickets", "k", &new).await;
    let path = format!("/v1/tickets/{}", ticket.body["id"].as_str().unwrap());
    let slot = Slot::of("ada").to_string();
    let headers = [("x-bulkhead-role", "agent"), ("x-bulkhead-slot", &slot), ("if-match", "\"1\"")];
    let call = (Method::POST, &*format!("{path}/transitions"));
    let moved = site.ask_as("grace", call, &headers, &json!({ "to": "open" })).await;
    assert_eq!((moved.status, &moved.body["status"]), (200, &json!("open")), "{}", moved.body);
    let history = format!("{path}/history");
    let seen = site.as_role("agent", Some("ada"), Method::GET, &history, &Value::Null).await;
    let actors: Vec<&Value> =
        seen.body["data"].as_array().unwrap().iter().map(|step| &step["actor"]).collect();
    assert_eq!(actors, [&json!("ada"), &json!("grace")]);
}

#[tokio::test]
async fn what_is_a_contacts_own_to_do_is_not_an_agents() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let messages = format!("{conversation}/messages");
    let ticket = json!({ "subject": "late", "description": "where is it" });
    for (slot_of, method, path, body) in [
        (Some("ada"), Method::POST, messages.as_str(), json!({ "text": "hello" })),
        (Some("ada"), Method::GET, "/v1/conversations", Value::Null),
        (None, Method::GET, "/v1/conversations", Value::Null),
        (None, Method::POST, "/v1/conversations", json!({})),
        (None, Method::GET, "/v1/tickets", Value::Null),
        (None, Method::POST, "/v1/tickets", ticket),
    ] {
        let told = site.as_role("agent", slot_of, method.clone(), path, &body).await;
        let code = &told.body["code"];
        assert_eq!((told.status, code), (403, &json!("contacts-only")), "{method} {path}");
    }
    let seen = site.get("ada", &messages).await;
    assert_eq!(seen.body["data"], json!([]));
}

#[tokio::test]
async fn an_id_of_another_slot_than_the_router_says_is_nobodys() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let seen =
        site.as_role("agent", Some("user-000001"), Method::GET, &conversation, &Value::Null).await;
    assert_eq!(seen.status, 404);
    let seen = site.as_role("agent", None, Method::GET, &conversation, &Value::Null).await;
    assert_eq!((seen.status, &seen.body["code"]), (400, &json!("routing-headers")));
}

impl Site {
    /// Asks as `grace` in this role, about the slot of `slot_of` or about the whole cell.
    async fn as_role(
        &self,
        role: &str,
        slot_of: Option<&str>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let slot = slot_of.map(|user| Slot::of(user).to_string());
        let mut headers = vec![("x-bulkhead-role", role), ("idempotency-key", "of-grace")];
        headers.extend(slot.iter().map(|slot| ("x-bulkhead-slot", slot.as_str())));
        let user = if role == "contact" { slot_of.unwrap() } else { "grace" };
        self.ask_as(user, (method, path), &headers, body).await
    }
}
