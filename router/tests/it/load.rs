//! Users who never pause: some keep their connection, some open a new one for each request.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::client::head;

/// Of each kind.
const USERS: usize = 8;
/// Each user asks this often, whether or not others were answered.
const EVERY: Duration = Duration::from_millis(4);

/// They all ask as one, and far more than one may.
pub(crate) const ALLOWED: &str = "limits: {user: {rate: 100000, burst: 100000}}";

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: usize,
    pub(crate) failures: Vec<String>,
    /// Connections that the router has said it closes.
    pub(crate) closed: usize,
}

/// Asks until stopped.
pub(crate) async fn run(edge: SocketAddr, stop: CancellationToken) -> Tally {
    let users = (0..2 * USERS).map(|user| one(edge, user % 2 == 0, stop.clone()));
    join_all(users).await.into_iter().fold(Tally::default(), |mut all, tally| {
        all.answered += tally.answered;
        all.closed += tally.closed;
        all.failures.extend(tally.failures);
        all
    })
}

async fn one(edge: SocketAddr, keeps: bool, stop: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    let mut turns = interval(EVERY);
    let request = head("GET", if keeps { "" } else { "connection: close\r\n" });
    while !stop.is_cancelled() {
        turns.tick().await;
        match ask(edge, &mut kept, request.as_bytes()).await {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                tally.answered += 1;
                if answer.to_ascii_lowercase().contains("connection: close") {
                    kept = None;
                    tally.closed += usize::from(keeps);
                }
            }
            other => {
                tally.failures.push(format!("kept: {keeps}: {other:?}"));
                kept = None;
            }
        }
    }
    tally
}

async fn ask(
    edge: SocketAddr,
    kept: &mut Option<TcpStream>,
    request: &[u8],
) -> std::io::Result<String> {
    // A client notices the end of a connection it does not use.
    if kept.as_ref().is_some_and(|stream| matches!(stream.try_read(&mut [0]), Ok(0))) {
        *kept = None;
    }
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(TcpStream::connect(edge).await?),
    };
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
