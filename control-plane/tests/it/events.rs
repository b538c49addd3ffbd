use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use topology::address::Port;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_misses_nothing() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("south").told(|south| south.lsn = 1200);
        platform.agent("east").told(|east| east.dead = true);

        let events = read_until(platform, 0, "epoch 3 steady").await;
        let names = |events: &[Event]| -> Vec<String> {
            let changes = events.iter().map(|event| event.what.clone());
            let changes = changes.filter(|what| !what.contains("site-"));
            changes.skip_while(|what| what.contains("epoch 1 ") && !what.contains("lost")).collect()
        };
        let expected =
            ["epoch 1 lease-lost", "epoch 2 electing", "epoch 3 promoting", "epoch 3 steady"];
        assert_eq!(names(&events), expected);
        assert!(events.is_sorted_by(|a, b| a.id < b.id), "{events:?}");

        let electing = events.iter().find(|event| event.what == "epoch 2 electing").unwrap();
        let again = read_until(platform, electing.id, "epoch 3 steady").await;
        assert_eq!(names(&again), expected[2..]);
    })
    .await;
}

/// What was heard before the stream broke is not heard again; what happened meanwhile is.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_and_a_freeze_are_followed_across_a_reconnect() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let path = "/v1/regions/east/evacuate";
        let (status, begun) = platform.post("north", path, r#"{"wave_pause_s":0}"#).await;
        assert_eq!(status, 202, "{begun}");
        let first = of_wishes(read_until(platform, 0, "op-000001 operation-begun").await);
        let heard = first.last().unwrap().id;
        let rest = of_wishes(read_until(platform, heard, "op-000001 operation-ended").await);
        let told: Vec<&str> = rest.iter().map(|event| event.what.as_str()).collect();
        // Whether the drain is seen to begin, or only that it is done, is a matter of moments.
        let count = |what: &str| told.iter().filter(|told| **told == what).count();
        assert_eq!(count("op-000001 operation-begun"), 0, "{told:?}");
        assert_eq!(count("region-drained"), 1, "{told:?}");
        assert!((2..=4).contains(&count("op-000001 operation-step")), "{told:?}");
        assert_eq!(told.last(), Some(&"op-000001 operation-ended"));

        let heard = rest.last().unwrap().id;
        for body in [r#"{"frozen":true,"reason":"we look"}"#, r#"{"frozen":false,"reason":"done"}"#]
        {
            let frozen = platform.write_with("north", "PUT", "/v1/freeze", body, &[]).await;
            assert_eq!(frozen.0, 200, "{}", frozen.1);
            let held = platform.until(async || {
                let found = of_wishes(platform_events(platform).await);
                let wanted = if body.contains("true") { "freeze" } else { "freeze-over" };
                found.iter().any(|event| event.what == wanted)
            });
            assert!(held.await, "not told: {body}");
        }
        let told = of_wishes(read_until(platform, heard, "freeze-over").await);
        let told: Vec<&str> = told.iter().map(|event| event.what.as_str()).collect();
        assert_eq!(told, ["freeze", "freeze-over"]);
    })
    .await;
}

fn of_wishes(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| !event.what.starts_with("epoch")).collect()
}

/// Returns what is kept, as a page.
async fn platform_events(platform: &Platform) -> Vec<Event> {
    let page = platform.page("north", "/v1/events?limit=1000").await;
    let data = page["data"].as_array().unwrap().iter();
    data.map(|event| Event {
        id: event["id"].as_u64().unwrap(),
        what: what(event, event["name"].as_str().unwrap()),
    })
    .collect()
}

fn what(data: &serde_json::Value, name: &str) -> String {
    match (data["operation"].as_str(), data["epoch"].as_u64()) {
        (Some(operation), _) => format!("{operation} {name}"),
        (None, Some(epoch)) => format!("epoch {epoch} {name}"),
        (None, None) => name.to_owned(),
    }
}

#[derive(Debug)]
struct Event {
    id: u64,
    /// Its operation or epoch, and its name.
    what: String,
}

/// Reads the stream from after `id` until an event is `last`.
async fn read_until(platform: &Platform, id: u64, last: &str) -> Vec<Event> {
    let address = platform.address("north", Port::ControlPlane);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nlast-event-id: {id}\r\n\r\n",
        Platform::token()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut events: Vec<Event> = Vec::new();
    let (mut id, mut name) = (0, String::new());
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.parse().unwrap();
        } else if let Some(text) = line.strip_prefix("event: ") {
            text.clone_into(&mut name);
        } else if let Some(text) = line.strip_prefix("data: ") {
            let data: serde_json::Value = serde_json::from_str(text).unwrap();
            events.push(Event { id, what: what(&data, &name) });
            if events.last().is_some_and(|event| event.what == last) {
                break;
            }
        }
    }
    events
}
