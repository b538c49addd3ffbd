//! What is said on both sides, byte for byte.

use postgres_protocol::message::backend::Message as Said;
use tokio::io::{DuplexStream, duplex};

use super::*;

/// The old timeline's file begins at 5 MB, and was left 200,000 bytes later.
const FROM: u64 = 5 << 20;
const LEFT: u64 = FROM + 200_000;
const ROOM: usize = 1 << 20;

struct Between {
    client: DuplexStream,
    server: DuplexStream,
    agent: tokio::task::JoinHandle<anyhow::Result<(DuplexStream, DuplexStream)>>,
}

#[tokio::test]
async fn what_is_known_here_is_not_asked_for() {
    let mut between = Between::new(head());
    between.asks("IDENTIFY_SYSTEM").await;
    let mut said = between.hears(4).await;
    let Some(Said::RowDescription(_)) = Said::parse(&mut said).unwrap() else { panic!("columns") };
    let Some(Said::DataRow(row)) = Said::parse(&mut said).unwrap() else { panic!("a row") };
    let told = String::from_utf8_lossy(row.buffer());
    assert!(told.contains("7712947484783391889") && told.contains("0/530D50"), "{told:?}");
    assert!(matches!(Said::parse(&mut said).unwrap(), Some(Said::CommandComplete(_))));
    assert!(matches!(Said::parse(&mut said).unwrap(), Some(Said::ReadyForQuery(_))));

    between.asks("START_REPLICATION 0/500000 TIMELINE 8").await;
    assert_eq!(between.is_asked().await, "START_REPLICATION 0/530D40 TIMELINE 8");
    between.server.write_all(&message(b'W', |body| body.put_slice(&[0, 0, 0]))).await.unwrap();
    assert_eq!(between.hears(1).await[0], b'W');
    let mut wal = Vec::new();
    while wal.len() < 200_000 {
        let piece = between.hears(1).await;
        assert_eq!((piece[0], piece[5]), (b'd', b'w'));
        let at = u64::from_be_bytes(piece[6..14].try_into().unwrap());
        assert_eq!(at, FROM + wal.len() as u64);
        wal.extend_from_slice(&piece[30..]);
    }
    assert_eq!(wal, head().bytes);
    between.goes_on().await;
}

#[tokio::test]
async fn another_first_question_is_passed_on() {
    let mut between = Between::new(head());
    between.asks("SHOW data_directory_mode").await;
    assert_eq!(between.is_asked().await, "SHOW data_directory_mode");
    between.goes_on().await;
}

#[tokio::test]
async fn whoever_asks_for_something_else_gets_all_of_it_from_the_server() {
    for asked in [
        "START_REPLICATION 0/500000 TIMELINE 7",
        "START_REPLICATION 0/530D40 TIMELINE 8",
        "START_REPLICATION SLOT \"a\" 0/500000 TIMELINE 8",
        "START_REPLICATION 0/500000",
        "TIMELINE_HISTORY 8",
        "",
    ] {
        let mut between = Between::new(head());
        between.asks("IDENTIFY_SYSTEM").await;
        between.hears(4).await;
        between.asks(asked).await;
        assert_eq!(between.is_asked().await, asked);
        between.goes_on().await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_heard() {
    let mut between = Between::new(head());
    between.asks("IDENTIFY_SYSTEM").await;
    between.hears(4).await;
    between.asks("START_REPLICATION 0/500000 TIMELINE 8").await;
    between.is_asked().await;
    between.server.write_all(&message(b'N', |body| body.put_u8(0))).await.unwrap();
    between.server.write_all(&message(b'E', |body| body.put_u8(0))).await.unwrap();
    assert_eq!(between.hears(1).await[0], b'N');
    assert_eq!(between.hears(1).await[0], b'E');
    between.goes_on().await;
}

#[tokio::test]
async fn nonsense_ends_it() {
    for (sent, why) in [
        (&b"Q\0\0\0\x03"[..], "a message of 3 bytes"),
        (&b"Q\x7f\0\0\0"[..], "a message of 2130706432 bytes"),
        (&b"Q\0\0\0\x09IDEN"[..], "hear a message to its end"),
        (&b""[..], "hear a message"),
    ] {
        let mut between = Between::new(head());
        between.client.write_all(sent).await.unwrap();
        between.client.shutdown().await.unwrap();
        let told = between.agent.await.unwrap().unwrap_err();
        assert_eq!(told.to_string(), why, "{sent:?}");
    }
}

impl Between {
    fn new(head: Head) -> Self {
        let (client, mut from) = duplex(ROOM);
        let (server, mut to) = duplex(ROOM);
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let agent = tokio::spawn(async move {
            begin(&mut from, &mut to, &fork(), &head).await?;
            Ok((from, to))
        });
        Self { client, server, agent }
    }

    async fn asks(&mut self, question: &str) {
        Message::query(question).say(&mut self.client).await.unwrap();
    }

    async fn is_asked(&mut self) -> String {
        let asked = Message::hear(&mut self.server).await.unwrap();
        asked.question().unwrap().to_owned()
    }

    /// Hears so many messages.
    async fn hears(&mut self, count: usize) -> BytesMut {
        let mut heard = BytesMut::new();
        for _ in 0..count {
            let tag = self.client.read_u8().await.unwrap();
            let length = self.client.read_u32().await.unwrap();
            heard.put_u8(tag);
            heard.put_u32(length);
            let mut body = vec![0; length as usize - 4];
            self.client.read_exact(&mut body).await.unwrap();
            heard.put_slice(&body);
        }
        heard
    }

    /// Nothing else was said to anybody, and both sides are there.
    async fn goes_on(self) {
        let Self { mut client, mut server, agent } = self;
        drop(agent.await.unwrap().unwrap());
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        server.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
}

fn fork() -> Fork {
    Fork {
        name: "c1_south_e9".to_owned(),
        system: 7_712_947_484_783_391_889,
        timeline: 8,
        reached: LEFT + 16,
        at: Place { timeline: 7, begun: 400, lsn: LEFT },
    }
}

fn head() -> Head {
    Head { from: FROM, bytes: (0..200_000u32).map(|byte| byte.to_le_bytes()[0]).collect() }
}
