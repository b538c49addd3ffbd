//! A user with TLS, who asks several things at a time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{BODY, Doors, EVERY, Tally};
use crate::client::{ada, token};
use crate::tls::{NAME, shake_hands};

/// More than a router takes to begin to drain on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// It came too late for this connection, and was not looked at (RFC 9113, 6.8): a user asks again
    /// on another.
    SentAway,
    Failed(String),
}

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    _driving: JoinSet<Result<(), h2::Error>>,
}

/// Asks until stopped, on one connection for as long as it may.
pub(super) async fn one(doors: &Doors, stop: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    let mut turns = interval(EVERY);
    while !stop.is_cancelled() {
        turns.tick().await;
        let connection = match kept.take() {
            Some(connection) => connection,
            None => match Connection::open(doors).await {
                Ok(connection) => connection,
                Err(why) => {
                    tally.failures.push(format!("not opened: {why}"));
                    continue;
                }
            },
        };
        let asking = [Method::GET, Method::POST].map(|method| connection.ask(method));
        let mut is_over = false;
        for outcome in join_all(asking).await {
            is_over |= outcome != Outcome::Answered;
            match outcome {
                Outcome::Answered => tally.answered += 1,
                Outcome::SentAway => tally.sent_away += 1,
                Outcome::Failed(why) => tally.failures.push(format!("HTTP/2: {why}")),
            }
        }
        kept = Some(connection).filter(|_| !is_over);
    }
    tally
}

impl Connection {
    pub(crate) async fn open(doors: &Doors) -> Result<Self, String> {
        let stream = shake_hands(doors.tls, &doors.connector, NAME);
        let stream = stream.await.map_err(|err| err.to_string())?;
        let (sender, connection) =
            h2::client::handshake(stream).await.map_err(|err| err.to_string())?;
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        Ok(Self { sender, _driving: driving })
    }

    pub(crate) async fn ask(&self, method: Method) -> Outcome {
        match self.try_ask(method).await {
            Ok((StatusCode::OK, body)) if body == b"ok\n" => Outcome::Answered,
            Ok(answer) => Outcome::Failed(format!("{answer:?}")),
            Err(err) if is_goodbye(&err) => Outcome::SentAway,
            Err(err) => Outcome::Failed(format!("{err:?}")),
        }
    }

    /// Waits until the router takes nothing more on this connection, and says so.
    pub(crate) async fn sent_away(&self) {
        let ended = timeout(PATIENCE, async {
            loop {
                match self.sender.clone().ready().await {
                    Ok(_) => sleep(LOOK).await,
                    Err(err) => return err,
                }
            }
        });
        let err = ended.await.expect("the router takes nothing more");
        assert!(is_goodbye(&err), "{err:?}");
    }

    async fn try_ask(&self, method: Method) -> Result<(StatusCode, Vec<u8>), h2::Error> {
        let is_post = method == Method::POST;
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{NAME}/v1/conversations"))
            .header("authorization", format!("Bearer {}", token(&ada())));
        let request = if is_post { request.header("content-length", BODY.len()) } else { request };
        let mut sender = self.sender.clone().ready().await?;
        let (answer, mut body) = sender.send_request(request.body(()).unwrap(), !is_post)?;
        if is_post {
            let (first, second) = BODY.split_at(BODY.len() / 2);
            let first = body.send_data(Bytes::from_static(first), false);
            tokio::task::yield_now().await;
            let second = body.send_data(Bytes::from_static(second), true);
            // Where the request is not taken, that error says why.
            if first.and(second).is_err() {
                return answer.await.map(|answer| (answer.status(), Vec::new()));
            }
        }
        let answer = answer.await?;
        let status = answer.status();
        let (mut stream, mut whole) = (answer.into_body(), Vec::new());
        while let Some(part) = stream.data().await {
            let part = part?;
            stream.flow_control().release_capacity(part.len())?;
            whole.extend_from_slice(&part);
        }
        Ok((status, whole))
    }
}

fn is_goodbye(err: &h2::Error) -> bool {
    err.is_go_away() && err.is_remote() && err.reason() == Some(Reason::NO_ERROR)
}
