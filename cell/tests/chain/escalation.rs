use cell::session;
use serde_json::json;

use super::site::Site;

#[tokio::test]
async fn who_asks_for_a_person_gets_one_ticket_that_the_conversation_shows() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let said = site.say("ada", &conversation, "human_agent: a person, please").await;
    assert_eq!(said["reply"]["source"]["kind"], "flow");
    assert_eq!(site.get("ada", &conversation).await.body["status"], "queued");

    session::relay(&site.session).await.unwrap();
    let ticket = site.get("ada", &conversation).await.body["ticket_id"].clone();
    let tickets = site.get("ada", "/v1/tickets").await.body["data"].clone();
    assert_eq!(tickets.as_array().unwrap().len(), 1);
    assert_eq!(tickets[0]["id"], ticket);
    assert_eq!(tickets[0]["description"], "human_agent: a person, please");
    assert!(conversation.ends_with(tickets[0]["conversation_id"].as_str().unwrap()));

    let again = site.say("ada", &conversation, "human_agent: hello?").await;
    assert!(again["reply"]["text"].as_str().unwrap().contains("already has your request"));
    session::relay(&site.session).await.unwrap();
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn an_escalation_whose_confirmation_was_lost_is_still_one_ticket() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "complaint: this is bad").await;
    session::relay(&site.session).await.unwrap();
    let before = site.get("ada", &conversation).await.body["ticket_id"].clone();
    site.database
        .as_owner(async |owner| {
            owner
                .batch_execute(
                    "UPDATE outbox SET published_at = NULL; UPDATE conversations SET ticket_id = NULL",
                )
                .await
                .unwrap();
        })
        .await;
    session::relay(&site.session).await.unwrap();
    assert_eq!(site.get("ada", &conversation).await.body["ticket_id"], before);
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
    assert_eq!(site.get("ada", "/v1/tickets").await.body["data"][0]["priority"], "high");
}

#[tokio::test]
async fn the_third_answer_in_a_row_that_is_no_help_is_a_person() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let mut kinds = Vec::new();
    for text in ["xyzzy", "plugh", "plover"] {
        kinds.push(site.say("ada", &conversation, text).await["reply"]["source"]["kind"].clone());
    }
    assert_eq!(kinds, [json!("fallback"), json!("fallback"), json!("flow")]);
    session::relay(&site.session).await.unwrap();
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn a_site_that_does_not_serve_passes_nothing_on() {
    use topology::wire::agent::TenureName;
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "human_agent: a person, please").await;
    for (tenure, open) in [(TenureName::Fenced, true), (TenureName::Serving, false)] {
        site.becomes(tenure, open);
        session::relay(&site.session).await.unwrap();
        assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);
    }
}
