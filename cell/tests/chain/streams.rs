use axum::body::{Body, BodyDataStream};
use axum::http::Method;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use topology::wire::agent::TenureName;

use super::site::Site;

#[tokio::test]
async fn a_stream_tells_what_was_said_and_what_is_being_said() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "where is my refund?").await;
    let mut stream = Stream::open(&site, &format!("{conversation}/events"), &[]).await;
    assert_eq!(stream.seqs(2).await, [1, 2]);
    site.say("ada", &conversation, "greet: hi").await;
    assert_eq!(stream.seqs(2).await, [3, 4]);
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "where is my refund?").await;
    site.say("ada", &conversation, "greet: hi").await;
    let events = format!("{conversation}/events");
    let mut by_header = Stream::open(&site, &events, &[("last-event-id", "2")]).await;
    assert_eq!(by_header.seqs(2).await, [3, 4]);
    let mut by_query = Stream::open(&site, &format!("{events}?after_seq=3"), &[]).await;
    assert_eq!(by_query.seqs(1).await, [4]);
}

#[tokio::test]
async fn a_client_that_was_told_more_than_is_there_goes_on_after_what_is_there() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "where is my refund?").await;
    let events = format!("{conversation}/events");
    let mut stream = Stream::open(&site, &events, &[("last-event-id", "4")]).await;
    site.say("ada", &conversation, "greet: hi").await;
    assert_eq!(stream.seqs(2).await, [3, 4]);
    let mut moved = Stream::open(&site, &events, &[("last-event-id", "9")]).await;
    site.becomes(TenureName::Draining, true);
    assert_eq!(moved.next().await.unwrap().data, json!({ "after_seq": 4 }));
}

#[tokio::test]
async fn a_ticket_is_told_on_the_stream() {
    let site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let mut stream = Stream::open(&site, &format!("{conversation}/events"), &[]).await;
    site.say("ada", &conversation, "human_agent: a person").await;
    assert_eq!(stream.seqs(2).await, [1, 2]);
    cell::session::relay(&site.session).await.unwrap();
    let event = stream.next().await.unwrap();
    assert_eq!(event.name, "ticket.created");
    assert!(event.data["ticket_id"].as_str().unwrap().starts_with("tkt_"));
}

#[tokio::test]
async fn a_stream_ends_with_the_tenure_and_says_that_it_moved() {
    for tenure in [TenureName::Draining, TenureName::Fenced, TenureName::Standby] {
        let site = Site::serving().await;
        let conversation = site.conversation("ada").await;
        let mut stream = Stream::open(&site, &format!("{conversation}/events"), &[]).await;
        site.becomes(tenure, true);
        let last = stream.next().await.unwrap();
        assert_eq!((last.name.as_str(), last.data), ("moved", json!({ "after_seq": 0 })));
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_resume_token_that_is_none_is_refused() {
    let site = Site::serving().await;
    let events = site.conversation("ada").await + "/events";
    let call = (Method::GET, events.as_str());
    let answer = site.ask_with("ada", call, &[("last-event-id", "x")], &json!(null)).await;
    assert_eq!((answer.status, &answer.body["code"]), (400, &json!("validation-error")));
}

struct Stream {
    body: BodyDataStream,
    text: String,
}

struct Event {
    name: String,
    id: Option<i64>,
    data: Value,
}

impl Stream {
    async fn open(site: &Site, path: &str, extra: &[(&str, &str)]) -> Self {
        let response = site.send("ada", (Method::GET, path), extra, Body::empty()).await;
        assert_eq!(response.status(), 200);
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Returns the next event that is more than a comment.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start_matches([':', ' ']).to_owned())
                };
                if let (Some(name), Some(data)) = (field("event"), field("data")) {
                    let id = field("id").map(|id| id.parse().unwrap());
                    return Some(Event { name, id, data: serde_json::from_str(&data).unwrap() });
                }
            }
            let bytes = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Returns the numbers of the next messages.
    async fn seqs(&mut self, count: usize) -> Vec<i64> {
        let mut seqs = Vec::new();
        while seqs.len() < count {
            let event = self.next().await.unwrap();
            assert_eq!(event.name, "message.created");
            assert_eq!(event.data["seq"].as_i64(), event.id);
            seqs.extend(event.id);
        }
        seqs
    }
}
