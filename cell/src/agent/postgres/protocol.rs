//! Asks a server over the replication protocol, which tells what SQL does not while a server recovers:
//! the timeline it is on, and where it left the earlier ones.
//!
//! `tokio-postgres` opens no such connection. A `psql` for each question was most of a
//! vote's time (50 ms measured, 15 ms so). The messages are those of the same library.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{DataRowBody, ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The server is on this machine or one region away; what takes longer than this will not come.
const LIMIT: Duration = Duration::from_secs(2);
/// Longest message accepted. A timeline's history has a line of some 60 bytes for each before it.
const MESSAGE_MAX: usize = 1024 * 1024;
const USER: &str = "replicator";

/// Asks one question and returns the fields of its one row.
pub(super) async fn ask(
    server: SocketAddr,
    password: &str,
    question: &str,
) -> anyhow::Result<Vec<String>> {
    let asked = async {
        let stream = TcpStream::connect(server).await.context("connect")?;
        let mut server = Conversation { stream, received: BytesMut::new() };
        server.log_in(password).await.context("log in")?;
        server.ask(question).await
    };
    let answered = tokio::time::timeout(LIMIT, asked).await;
    let row = answered.unwrap_or_else(|_elapsed| bail!("no answer within {LIMIT:?}"));
    row.with_context(|| format!("ask {server}: {question}"))
}

struct Conversation {
    stream: TcpStream,
    received: BytesMut,
}

impl Conversation {
    async fn log_in(&mut self, password: &str) -> anyhow::Result<()> {
        let who = [("user", USER), ("replication", "true"), ("application_name", "agent")];
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
        while !matches!(self.next().await?, Message::ReadyForQuery(_)) {}
        Ok(())
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
                None => {
                    ensure!(self.received.len() <= MESSAGE_MAX, "the server's answer is too long");
                    let read = self.stream.read_buf(&mut self.received).await;
                    ensure!(read.context("read from the server")? > 0, "the server has hung up");
                }
            }
        }
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
