//! Whoever follows a conversation while its cell moves hears everything once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tests::json::text;
use tests::{Platform, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Said before the move begins, and after it.
const SAID: i64 = 10;
/// A move, and the messages around it.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
/// One move ends a stream once; a busy machine may break it a few times more.
const MOVES_MAX: usize = 100;

#[tokio::test]
async fn nothing_is_missed_or_doubled_while_the_cell_moves() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    let made = user.post("/v1/conversations", &json!({})).await?;
    let id = made.body["id"].as_str().context("begin a conversation")?.to_owned();
    let path = format!("/v1/conversations/{id}");

    let (events, socket) =
        (Follower::new(&platform, &user, &path), Follower::new(&platform, &user, &path));
    let (told, last) = tokio::sync::watch::channel(None);
    let (last, events, socket) = tokio::try_join!(
        async {
            let last = say_while_moving(&platform, &user, &path).await?;
            told.send_replace(Some(last));
            anyhow::Ok(last)
        },
        events.follow(last.clone(), Kind::Events),
        socket.follow(last, Kind::Socket),
    )?;
    let once: BTreeMap<i64, usize> = (1..=last).map(|seq| (seq, 1)).collect();
    assert_eq!(events.heard, once, "server-sent events");
    assert_eq!(socket.heard, once, "WebSocket");
    assert!(events.moves > 0 && socket.moves > 0, "both were told to come back");
    Ok(())
}

/// Talks before, during and after a switchover, and returns the last message's number.
async fn say_while_moving(platform: &Platform, user: &User, path: &str) -> anyhow::Result<i64> {
    let cell = platform.cell_of("ada").await?;
    let cell = platform.until_redundant(&text(&cell["id"])).await?;
    let (id, to) = (text(&cell["id"]), text(&cell["voters"][0]));
    let order = format!("/v1/cells/{id}/switchover");
    let mut last = 0;
    for _ in 0..SAID {
        last = say(user, path).await?;
    }
    let region = to.parse()?;
    let body = json!({ "to": to });
    let moving = platform.order(&region, &order, &body);
    tokio::pin!(moving);
    let (status, moved) = loop {
        tokio::select! {
            moved = &mut moving => break moved?,
            said = say(user, path) => last = said?,
        }
    };
    ensure!(status == 200, "move {id} to {to}: {moved:#}");
    for _ in 0..SAID {
        last = say(user, path).await?;
    }
    Ok(last)
}

/// Says something, and returns the number of the answer to it.
async fn say(user: &User, path: &str) -> anyhow::Result<i64> {
    let answer = user.post(&format!("{path}/messages"), &json!({ "text": "thank you" })).await?;
    ensure!(answer.status == 201, "say something: {answer:?}");
    answer.body["reply"]["seq"].as_i64().context("find the reply's number")
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Events,
    Socket,
}

/// Follows a conversation, and comes back whenever the stream ends.
struct Follower {
    edge: String,
    path: String,
    token: String,
    /// How often each number was heard.
    heard: BTreeMap<i64, usize>,
    moves: usize,
}

type Last = tokio::sync::watch::Receiver<Option<i64>>;

impl Follower {
    fn new(platform: &Platform, user: &User, path: &str) -> Self {
        Self {
            edge: platform.edge().to_string(),
            path: path.to_owned(),
            token: user.token().to_owned(),
            heard: BTreeMap::new(),
            moves: 0,
        }
    }

    async fn follow(mut self, mut last: Last, kind: Kind) -> anyhow::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_done(&last) {
            let ended = match kind {
                Kind::Events => timeout_at(deadline, self.events(&mut last)).await,
                Kind::Socket => timeout_at(deadline, self.socket(&mut last)).await,
            };
            let ended = ended.with_context(|| {
                format!("hear all by {kind:?}: {:?}, {} moves", self.heard, self.moves)
            })?;
            // A stream that breaks is opened again, like one that ends, and not at once.
            if let Err(err) = ended {
                ensure!(self.moves < MOVES_MAX, "follow the conversation: {err:#}");
            }
            self.moves += 1;
            sleep(PAUSE).await;
        }
        Ok(self)
    }

    fn after(&self) -> i64 {
        self.heard.keys().next_back().copied().unwrap_or(0)
    }

    fn is_done(&self, last: &Last) -> bool {
        last.borrow().is_some_and(|last| self.after() >= last)
    }

    fn hear(&mut self, seq: i64) {
        *self.heard.entry(seq).or_default() += 1;
    }

    async fn events(&mut self, last: &mut Last) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(&self.edge).await?;
        let request = format!(
            "GET {}/events HTTP/1.1\r\nhost: bulkhead\r\nauthorization: Bearer {}\r\n\
             accept: text/event-stream\r\nlast-event-id: {}\r\n\r\n",
            self.path,
            self.token,
            self.after()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        while !self.is_done(last) {
            let mut bytes = [0; 4096];
            let count = tokio::select! {
                count = stream.read(&mut bytes) => count?,
                _ = last.changed() => continue,
            };
            if count == 0 {
                return Ok(());
            }
            // A character may be cut in two; the numbers have none that can be.
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            // Sizes of chunks are lines of their own, which are no fields; the last one is 0, and the
            // connection stays.
            while let Some((line, rest)) = text.split_once('\n') {
                if line.trim_end() == "0" {
                    return Ok(());
                }
                if let Some(seq) = line.strip_prefix("id: ") {
                    self.hear(seq.trim().parse()?);
                }
                text = rest.to_owned();
            }
        }
        Ok(())
    }

    async fn socket(&mut self, last: &mut Last) -> anyhow::Result<()> {
        let url = format!("ws://{}{}/socket?after_seq={}", self.edge, self.path, self.after());
        let mut request = url.into_client_request()?;
        let bearer = format!("Bearer {}", self.token).parse()?;
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        let (mut socket, _) = connect_async(request).await?;
        while !self.is_done(last) {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = last.changed() => continue,
            };
            match message.context("read from the socket")?? {
                Message::Text(said) => {
                    let said: Value = serde_json::from_str(&said)?;
                    if let Some(seq) = said["seq"].as_i64() {
                        self.hear(seq);
                    }
                }
                Message::Close(why) => bail!("the socket ended: {why:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
        Ok(())
    }
}
