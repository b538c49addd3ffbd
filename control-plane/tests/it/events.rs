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

#[derive(Debug)]
struct Event {
    id: u64,
    /// Its epoch and name.
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
            events.push(Event { id, what: format!("epoch {} {name}", data["epoch"]) });
            if events.last().is_some_and(|event| event.what == last) {
                break;
            }
        }
    }
    events
}
