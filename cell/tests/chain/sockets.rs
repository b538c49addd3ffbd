//! The same stream as a WebSocket, over a real connection.

use std::net::SocketAddr;

use axum::http::Method;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use topology::Slot;
use topology::wire::agent::TenureName;

use super::site::Site;

#[tokio::test]
async fn a_socket_tells_what_was_said_and_what_is_being_said() {
    let mut site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "where is my refund?").await;
    let mut socket = Socket::open(site.listen().await, &format!("{conversation}/socket")).await;
    assert_eq!(socket.seqs(2).await, [1, 2]);
    site.say("ada", &conversation, "greet: hi").await;
    assert_eq!(socket.seqs(2).await, [3, 4]);
}

#[tokio::test]
async fn a_socket_that_comes_back_goes_on_after_the_number_it_names() {
    let mut site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    // More than are read at a time.
    for _ in 0..51 {
        site.say("ada", &conversation, "greet: hi").await;
    }
    let address = site.listen().await;
    let mut socket = Socket::open(address, &format!("{conversation}/socket?after_seq=1")).await;
    assert_eq!(socket.seqs(101).await, (2..=102).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_socket_ends_with_the_tenure_and_says_where_to_go_on() {
    let mut site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    site.say("ada", &conversation, "greet: hi").await;
    let mut socket = Socket::open(site.listen().await, &format!("{conversation}/socket")).await;
    assert_eq!(socket.seqs(2).await, [1, 2]);
    site.becomes(TenureName::Draining, true);
    assert_eq!(socket.text().await, json!({ "type": "moved", "after_seq": 2 }));
    assert_eq!(socket.end().await, 1012);
}

#[tokio::test]
async fn a_socket_is_not_for_sending() {
    let mut site = Site::serving().await;
    let conversation = site.conversation("ada").await;
    let mut socket = Socket::open(site.listen().await, &format!("{conversation}/socket")).await;
    socket.0.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.end().await, 1003);
}

#[tokio::test]
async fn a_request_that_is_no_socket_is_told_so() {
    let site = Site::serving().await;
    let path = site.conversation("ada").await + "/socket";
    let answer = site.ask("ada", (Method::GET, path.as_str()), "", &json!(null)).await;
    assert_eq!((answer.status, &answer.body["code"]), (426, &json!("upgrade-required")));
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(address: SocketAddr, path: &str) -> Self {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        let said = [
            ("x-bulkhead-user", "ada".to_owned()),
            ("x-bulkhead-slot", Slot::of("ada").to_string()),
            ("x-bulkhead-cell", "c1".to_owned()),
            ("x-bulkhead-epoch", "7".to_owned()),
        ];
        for (name, value) in said {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        Self(connect_async(request).await.unwrap().0)
    }

    /// Returns the next frame that is more than a ping.
    async fn next(&mut self) -> Message {
        loop {
            let message = self.0.next().await.unwrap().unwrap();
            if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
                return message;
            }
        }
    }

    async fn text(&mut self) -> Value {
        serde_json::from_str(self.next().await.to_text().unwrap()).unwrap()
    }

    async fn end(&mut self) -> u16 {
        let last = self.next().await;
        let Message::Close(Some(why)) = last else {
            panic!("the end was expected, not {last:?}");
        };
        why.code.into()
    }

    async fn seqs(&mut self, count: usize) -> Vec<i64> {
        let mut seqs = Vec::new();
        while seqs.len() < count {
            let told = self.text().await;
            assert_eq!(told["type"], "message.created");
            assert_eq!(told["message"]["seq"], told["seq"]);
            seqs.extend(told["seq"].as_i64());
        }
        seqs
    }
}
