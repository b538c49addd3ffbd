//! Hears from the site's agent what right the site has.
//!
//! While the agent does not answer, the last line stays in force until the time written in it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use runtime::Board;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topology::wire::agent::TenureLine;
use tracing::{info, warn};

use super::decide::admit::Right;

/// Between two tries: the agent is on the same machine, and each try is one refused connection.
const PAUSE: Duration = Duration::from_millis(50);
/// The agent speaks at each renewal, twice a second; after this long it is asked anew.
const SILENCE: Duration = Duration::from_secs(3);
/// Longest line accepted; ours have about 80 bytes.
const LINE_MAX: usize = 4096;

/// Keeps `right` as the agent at `agent` tells it, until stopped.
pub async fn follow(
    agent: SocketAddr,
    right: watch::Sender<Option<Right>>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    board.condition("tenure", Err("the agent has not been heard".to_owned()));
    let mut heard = false;
    while !stop.is_cancelled() {
        let listened = tokio::select! {
            listened = listen(agent, &right, &board, &mut heard) => listened,
            () = stop.cancelled() => break,
        };
        if let Err(err) = listened
            && std::mem::take(&mut heard)
        {
            warn!(error = format!("{err:#}"), "agent lost");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

async fn listen(
    agent: SocketAddr,
    right: &watch::Sender<Option<Right>>,
    board: &Board,
    heard: &mut bool,
) -> anyhow::Result<()> {
    let connect = tokio::time::timeout(SILENCE, TcpStream::connect(agent)).await;
    let stream = connect.context("reach the agent in time")?.context("connect to the agent")?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.context("speak to the agent")?;
    let request = http::Request::get("/v1/tenure")
        .header(http::header::HOST, agent.to_string())
        .body(Empty::<Bytes>::new())
        .context("ask for the tenure")?;
    let read = async {
        let answer = sender.send_request(request).await.context("ask for the tenure")?;
        ensure!(answer.status().is_success(), "the agent answers {}", answer.status());
        let mut body = answer.into_body();
        let mut pending = Vec::new();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let Some(frame) = frame.context("hear the agent in time")? else {
                bail!("the agent has hung up");
            };
            if let Ok(data) = frame.context("hear the agent")?.into_data() {
                pending.extend_from_slice(&data);
                take_lines(&mut pending, |line| {
                    tell(right, line);
                    if !std::mem::replace(heard, true) {
                        info!(tenure = ?line.tenure, epoch = line.epoch, "agent heard");
                        board.condition("tenure", Ok(()));
                    }
                })?;
            }
            ensure!(pending.len() <= LINE_MAX, "the agent's line is too long");
        }
    };
    tokio::select! {
        ended = read => ended,
        ended = connection => ended.context("keep the connection to the agent"),
    }
}

fn tell(right: &watch::Sender<Option<Right>>, line: &TenureLine) {
    right.send_replace(Some(Right::from(line)));
}

/// Hands out each whole line and leaves what follows the last one.
fn take_lines(pending: &mut Vec<u8>, mut each: impl FnMut(&TenureLine)) -> anyhow::Result<()> {
    while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = pending.drain(..=end).collect();
        if !line.trim_ascii().is_empty() {
            each(&serde_json::from_slice(&line).context("read the agent's line")?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_in_two_is_one_line() {
        let line = br#"{"tenure":"serving","epoch":7,"valid_until":9,"open":true}"#;
        let mut seen = Vec::new();
        let mut pending = line[..20].to_vec();
        take_lines(&mut pending, |line| seen.push(line.epoch)).unwrap();
        pending.extend_from_slice(&line[20..]);
        pending.extend_from_slice(b"\n\n{\"tenure\"");
        take_lines(&mut pending, |line| seen.push(line.epoch)).unwrap();
        assert_eq!((seen, pending), (vec![7], b"{\"tenure\"".to_vec()));
    }
}
