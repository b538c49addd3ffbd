//! Users who never pause. In the open, some keep their connection and some open a new one for each
//! request; with TLS, each asks several things at a time on one connection. Half of what they ask has a
//! body.

pub(crate) mod http_2;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join, join_all};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::interval;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::client::head;
use crate::tls;
use crate::world::World;

/// Of each kind.
const USERS: usize = 8;
/// Each user asks this often, whether or not others were answered.
const EVERY: Duration = Duration::from_millis(4);
/// What a POST carries, in two parts.
pub(crate) static BODY: [u8; 2000] = [b'b'; 2000];

/// They all ask as one, and far more than one may.
pub(crate) const ALLOWED: &str = "limits: {user: {rate: 100000, burst: 100000}}";

/// Where users come in, and whom those with TLS trust.
pub(crate) struct Doors {
    plain: SocketAddr,
    tls: SocketAddr,
    connector: TlsConnector,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: usize,
    pub(crate) failures: Vec<String>,
    /// Kept connections of HTTP/1.1 that the router has said it closes.
    pub(crate) closed: usize,
    /// Requests by HTTP/2 that the router has not taken any more, and has said so.
    pub(crate) sent_away: usize,
}

impl Doors {
    pub(crate) fn of(world: &World, authority: &Authority) -> Self {
        let connector = TlsConnector::from(authority.user("h2"));
        Self { plain: world.edge(), tls: tls::address(world), connector }
    }
}

/// Asks until stopped.
pub(crate) async fn run(doors: Doors, stop: CancellationToken) -> Tally {
    let plain = (0..2 * USERS).map(|user| {
        let method = if user % 4 < 2 { Method::GET } else { Method::POST };
        one(doors.plain, user % 2 == 0, method, stop.clone())
    });
    let secure = (0..USERS).map(|_| http_2::one(&doors, stop.clone()));
    let (plain, secure) = join(join_all(plain), join_all(secure)).await;
    plain.into_iter().chain(secure).fold(Tally::default(), |mut all, tally| {
        all.answered += tally.answered;
        all.closed += tally.closed;
        all.sent_away += tally.sent_away;
        all.failures.extend(tally.failures);
        all
    })
}

async fn one(edge: SocketAddr, keeps: bool, method: Method, stop: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    let mut turns = interval(EVERY);
    let (body, length) = if method == Method::POST {
        (&BODY[..], format!("content-length: {}\r\n", BODY.len()))
    } else {
        (&[][..], String::new())
    };
    let more = length + if keeps { "" } else { "connection: close\r\n" };
    let head = head(method.as_str(), &more);
    while !stop.is_cancelled() {
        turns.tick().await;
        match ask(edge, &mut kept, head.as_bytes(), body).await {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                tally.answered += 1;
                if answer.to_ascii_lowercase().contains("connection: close") {
                    kept = None;
                    tally.closed += usize::from(keeps);
                }
            }
            other => {
                tally.failures.push(format!("{method}, kept: {keeps}: {other:?}"));
                kept = None;
            }
        }
    }
    tally
}

async fn ask(
    edge: SocketAddr,
    kept: &mut Option<TcpStream>,
    head: &[u8],
    body: &[u8],
) -> std::io::Result<String> {
    // A client notices the end of a connection it does not use.
    if kept.as_ref().is_some_and(|stream| matches!(stream.try_read(&mut [0]), Ok(0))) {
        *kept = None;
    }
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(TcpStream::connect(edge).await?),
    };
    stream.write_all(head).await?;
    let (first, second) = body.split_at(body.len() / 2);
    stream.write_all(first).await?;
    // The others go on meanwhile, and the router may begin to end.
    tokio::task::yield_now().await;
    stream.write_all(second).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
