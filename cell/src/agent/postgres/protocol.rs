//! Speaks the replication protocol: asks a server what SQL does not tell while it recovers, the timeline
//! it is on and where it left the earlier ones, and logs in ahead of who will ask it for WAL.
//!
//! `tokio-postgres` opens no such connection. A `psql` for each question was most of a
//! vote's time (50 ms measured, 15 ms so). The messages are those of the same library.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{
    self, DataRowBody, ErrorResponseBody, Header, Message, READY_FOR_QUERY_TAG,
};
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The server is on this machine or one region away; what takes longer than this will not come.
const LIMIT: Duration = Duration::from_secs(2);
/// To log in: one for TCP, one to say who asks, two for the password.
const ROUND_TRIPS: u32 = 4;
/// Longest message accepted. A timeline's history has a line of some 60 bytes for each before it.
const MESSAGE_MAX: usize = 1024 * 1024;
const USER: &str = "replicator";
/// What is sent and not taken for so long ends a connection, and so does a silence of about as long: what
/// is asked of PostgreSQL's own.
const UNTAKEN: Duration = Duration::from_secs(2);
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(1))
    .with_interval(Duration::from_secs(1))
    .with_retries(2);

/// Asks one question and returns the fields of its one row.
pub(super) async fn ask(
    server: SocketAddr,
    password: &str,
    question: &str,
) -> anyhow::Result<Vec<String>> {
    let asked = async {
        let mut server = Conversation::begin(server).await?;
        server.log_in(password, "agent").await.context("log in")?;
        server.ask(question).await
    };
    let answered = tokio::time::timeout(LIMIT, asked).await;
    let row = answered.unwrap_or_else(|_elapsed| bail!("no answer within {LIMIT:?}"));
    row.with_context(|| format!("ask {server}: {question}"))
}

/// A connection that is logged in, over which nothing has been asked yet.
pub(crate) struct Kept {
    pub(crate) stream: TcpStream,
    /// The standby's name.
    pub(crate) name: String,
    /// What the server said once it knew the password.
    pub(crate) greeting: Bytes,
}

impl Kept {
    /// Returns once the connection has ended.
    pub(crate) async fn ended(&self) {
        while self.stream.readable().await.is_ok() && self.is_open() {}
    }

    /// Whether nothing has come, not even an end: a server says nothing before it is asked.
    pub(crate) fn is_open(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|err| err.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Logs in as the standby of this name, with the round trips that takes.
pub(super) async fn log_in(
    server: SocketAddr,
    password: &str,
    name: &str,
    round_trip: Duration,
) -> anyhow::Result<Kept> {
    let limit = LIMIT + round_trip * ROUND_TRIPS;
    let logged_in = async {
        let mut server = Conversation::begin(server).await?;
        let greeting = server.log_in(password, name).await.context("log in")?;
        ensure!(server.received.is_empty(), "the server says more than it was asked");
        Ok(Kept { stream: server.stream, name: name.to_owned(), greeting })
    };
    let logged_in = tokio::time::timeout(limit, logged_in).await;
    let kept = logged_in.unwrap_or_else(|_elapsed| bail!("no answer within {limit:?}"));
    kept.with_context(|| format!("log in to {server} as {name}"))
}

struct Conversation {
    stream: TcpStream,
    received: BytesMut,
}

impl Conversation {
    async fn begin(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await.context("connect")?;
        stream.set_nodelay(true).context("send at once")?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&KEEPALIVE).context("ask whether the server is there")?;
        socket.set_tcp_user_timeout(Some(UNTAKEN)).context("bound what is sent in vain")?;
        Ok(Self { stream, received: BytesMut::new() })
    }

    /// Returns what the server says to who knows the password.
    async fn log_in(&mut self, password: &str, name: &str) -> anyhow::Result<Bytes> {
        let who = [("user", USER), ("replication", "true"), ("application_name", name)];
        self.send(|buffer| frontend::startup_message(who, buffer)).await?;
        let Message::AuthenticationSasl(asked) = self.next().await? else {
            bail!("the server does not ask for a password by SCRAM");
        };
        let offered: Vec<&str> = asked.mechanisms().collect().context("read what it offers")?;
        ensure!(offered.contains(&SCRAM_SHA_256), "the server offers {offered:?} only");
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        self.send(|buffer| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), buffer))
            .await?;
        let Message::AuthenticationSaslContinue(challenge) = self.next().await? else {
            bail!("no challenge");
        };
        scram.update(challenge.data()).context("understand the challenge")?;
        self.send(|buffer| frontend::sasl_response(scram.message(), buffer)).await?;
        let Message::AuthenticationSaslFinal(proof) = self.next().await? else {
            bail!("no proof that the server knows the password");
        };
        scram.finish(proof.data()).context("check that the server knows the password")?;
        self.greeting().await
    }

    /// Returns, as they came, all messages up to the one that says that the server can be asked.
    async fn greeting(&mut self) -> anyhow::Result<Bytes> {
        let mut read = 0;
        loop {
            let rest = &self.received[read..];
            let header = Header::parse(rest).context("understand the server")?;
            let length = header.and_then(|header| usize::try_from(header.len()).ok());
            match (header, length) {
                (Some(header), Some(length)) if rest.len() > length => {
                    if header.tag() == backend::ERROR_RESPONSE_TAG {
                        self.received.advance(read);
                        self.next().await?;
                        bail!("an error that is none");
                    }
                    read += length + 1;
                    if header.tag() == READY_FOR_QUERY_TAG {
                        return Ok(self.received.split_to(read).freeze());
                    }
                }
                _ => self.receive().await?,
            }
        }
    }

    async fn ask(&mut self, question: &str) -> anyhow::Result<Vec<String>> {
        self.send(|buffer| frontend::query(question, buffer)).await?;
        let mut row = None;
        loop {
            // Besides them it says what the columns are called, and that the row was the last.
            let message = self.next().await?;
            if let Message::DataRow(data) = message {
                row = Some(fields(&data)?);
            } else if matches!(message, Message::ReadyForQuery(_)) {
                return row.context("an answer without a row");
            }
        }
    }

    async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut buffer = BytesMut::new();
        write(&mut buffer).context("write to the server")?;
        self.stream.write_all(&buffer).await.context("write to the server")
    }

    /// Returns the next message that is not a mere notice.
    async fn next(&mut self) -> anyhow::Result<Message> {
        loop {
            let message = Message::parse(&mut self.received).context("understand the server")?;
            match message {
                Some(Message::ErrorResponse(complaint)) => bail!("{}", text(&complaint)),
                Some(Message::NoticeResponse(_) | Message::ParameterStatus(_)) => {}
                Some(message) => return Ok(message),
                None => self.receive().await?,
            }
        }
    }

    async fn receive(&mut self) -> anyhow::Result<()> {
        ensure!(self.received.len() <= MESSAGE_MAX, "the server's answer is too long");
        let read = self.stream.read_buf(&mut self.received).await;
        ensure!(read.context("read from the server")? > 0, "the server has hung up");
        Ok(())
    }
}

fn fields(row: &DataRowBody) -> anyhow::Result<Vec<String>> {
    let text = |range: Option<std::ops::Range<usize>>| {
        let bytes = range.and_then(|range| row.buffer().get(range)).unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    };
    row.ranges().map(text).collect().context("understand the answer")
}

fn text(complaint: &ErrorResponseBody) -> String {
    let message = complaint.fields().find(|field| Ok(field.type_() == b'M'));
    let message = message.ok().flatten();
    message.map_or_else(
        || "an error without a message".to_owned(),
        |field| String::from_utf8_lossy(field.value_bytes()).into_owned(),
    )
}
