//! Spares a standby what it knows already.
//!
//! PostgreSQL asks a server who it is, and then for the new timeline from the beginning of the file in which
//! that forks off: a round trip, and several more until all of the file has come over a connection
//! that has been idle. The agent of the active site has said who it is. The beginning of the file is here,
//! byte for byte, in the old timeline's.
//!
//! ```text
//!   PostgreSQL                  agent                            active site
//!   IDENTIFY_SYSTEM ──────────▶ answers
//!   START_REPLICATION 0/5000000 TIMELINE 8 ─▶ 0/50A3D28 ───────▶
//!   ◀── 0/5000000 … 0/50A3D28, from here ◀──────────────────────
//!   ◀───────────────────────── 0/50A3D28 … ◀────────────────────
//! ```
//!
//! Whatever else is asked is passed on as it came.

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use runtime::clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use topology::Place;

use crate::agent::postgres::{Head, lsn, parse_lsn};

/// Longest message understood: the two questions have some fifty bytes.
const MESSAGE_MAX: usize = 10_000;
/// How much of a file goes in a message, as PostgreSQL sends it.
const CHUNK: usize = 128 * 1024;
/// What PostgreSQL counts from: 2000-01-01.
const EPOCH_SECONDS: u64 = 946_684_800;

const QUERY: u8 = b'Q';
const COPY_BOTH: u8 = b'W';
const NOTICE: u8 = b'N';
const PARAMETER: u8 = b'S';

/// A timeline that this site is about to follow, from where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The name under which it will ask.
    pub(crate) name: String,
    pub(crate) system: u64,
    pub(crate) timeline: u32,
    /// How far the active site has come.
    pub(crate) reached: u64,
    /// Where this site is, and the old timeline was left.
    pub(crate) at: Place,
}

struct Message(Bytes);

/// Answers or shortens what is asked first. From then on all is passed on.
pub(super) async fn begin(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    fork: &Fork,
    head: &Head,
) -> anyhow::Result<()> {
    let first = Message::hear(client).await?;
    if first.question() != Some("IDENTIFY_SYSTEM") {
        return first.say(server).await;
    }
    client.write_all(&identity(fork)).await.context("say who the active site is")?;
    let second = Message::hear(client).await?;
    if !second.question().is_some_and(|asked| fork.is_started_by(asked, head)) {
        return second.say(server).await;
    }
    let shorter = format!("START_REPLICATION {} TIMELINE {}", lsn(fork.at.lsn), fork.timeline);
    Message::query(&shorter).say(server).await?;
    loop {
        let answer = Message::hear(server).await?;
        let tag = answer.tag();
        answer.say(client).await?;
        match tag {
            COPY_BOTH => break,
            // The answer is yet to come.
            NOTICE | PARAMETER => {}
            _ => return Ok(()),
        }
    }
    let mut from = head.from;
    for chunk in head.bytes.chunks(CHUNK) {
        client.write_all(&wal(from, fork.reached, chunk)).await.context("pass own WAL on")?;
        from += chunk.len() as u64;
    }
    Ok(())
}

impl Fork {
    /// Whether somebody asks for this timeline from the beginning of that file.
    fn is_started_by(&self, asked: &str, head: &Head) -> bool {
        let words: Vec<&str> = asked.split_ascii_whitespace().collect();
        let [verb, position, "TIMELINE", timeline] = words[..] else { return false };
        verb == "START_REPLICATION"
            && parse_lsn(position) == Some(head.from)
            && timeline.parse() == Ok(self.timeline)
            && !head.bytes.is_empty()
    }
}

impl Message {
    async fn hear(from: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Self> {
        let tag = from.read_u8().await.context("hear a message")?;
        let length = from.read_u32().await.context("hear how long a message is")? as usize;
        ensure!((4..=MESSAGE_MAX).contains(&length), "a message of {length} bytes");
        let mut bytes = BytesMut::with_capacity(1 + length);
        bytes.put_u8(tag);
        bytes.put_u32(u32::try_from(length).expect("not longer than ten thousand"));
        bytes.resize(1 + length, 0);
        from.read_exact(&mut bytes[5..]).await.context("hear a message to its end")?;
        Ok(Self(bytes.freeze()))
    }

    fn query(text: &str) -> Self {
        Self(message(QUERY, |body| {
            body.put_slice(text.as_bytes());
            body.put_u8(0);
        }))
    }

    fn tag(&self) -> u8 {
        self.0[0]
    }

    /// Returns what is asked, if it is a question.
    fn question(&self) -> Option<&str> {
        let text = self.0[5..].strip_suffix(b"\0").filter(|_| self.tag() == QUERY)?;
        std::str::from_utf8(text).ok()
    }

    async fn say(self, to: &mut (impl AsyncWrite + Unpin)) -> anyhow::Result<()> {
        to.write_all(&self.0).await.context("pass a message on")
    }
}

/// Returns the answer to who the server is: one row of four columns, as the server gives it.
fn identity(fork: &Fork) -> Bytes {
    const TEXT: (u32, i16) = (25, -1);
    const INT4: (u32, i16) = (23, 4);
    let columns = [("systemid", TEXT), ("timeline", INT4), ("xlogpos", TEXT), ("dbname", TEXT)];
    let described = message(b'T', |body| {
        body.put_i16(4);
        for (name, (kind, size)) in columns {
            body.put_slice(name.as_bytes());
            body.put_u8(0);
            body.put_u32(0);
            body.put_i16(0);
            body.put_u32(kind);
            body.put_i16(size);
            body.put_i32(-1);
            body.put_i16(0);
        }
    });
    let row = message(b'D', |body| {
        body.put_i16(4);
        for value in [fork.system.to_string(), fork.timeline.to_string(), lsn(fork.reached)] {
            body.put_i32(i32::try_from(value.len()).expect("a few digits"));
            body.put_slice(value.as_bytes());
        }
        body.put_i32(-1);
    });
    let done = message(b'C', |body| body.put_slice(b"IDENTIFY_SYSTEM\0"));
    let ready = message(b'Z', |body| body.put_u8(b'I'));
    [described, row, done, ready].concat().into()
}

/// Returns a piece of WAL as a server sends it.
fn wal(from: u64, reached: u64, bytes: &[u8]) -> Bytes {
    message(b'd', |body| {
        body.put_u8(b'w');
        body.put_u64(from);
        body.put_u64(reached);
        body.put_u64(now());
        body.put_slice(bytes);
    })
}

/// Returns the time as PostgreSQL counts it, in microseconds.
fn now() -> u64 {
    clock::unix_millis().saturating_sub(EPOCH_SECONDS * 1_000) * 1_000
}

fn message(tag: u8, write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut body = BytesMut::new();
    write(&mut body);
    let mut message = BytesMut::with_capacity(5 + body.len());
    message.put_u8(tag);
    message.put_u32(u32::try_from(body.len() + 4).expect("a piece of a file at most"));
    message.put_slice(&body);
    message.freeze()
}

#[cfg(test)]
mod tests;
