//! The helper of `net.stream`: passes on what is sent either way, and ends a share of the connections at
//! the moment their answer to a write comes back. Who asked learns nothing, and what was asked for is done.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::drill::Cut;
use crate::terminal::print;

/// What it says first, with its port after it …
pub(crate) const LISTENS: &str = "listens";
/// … and each time it has cut an answer.
pub(crate) const CUT: &str = "cut";

/// A few times what all routers open to one site.
const CONNECTIONS_MAX: usize = 1024;
const CONNECT: Duration = Duration::from_secs(1);
/// Between two looks for somebody who was not there.
const LOOK: Duration = Duration::from_millis(20);
const PIECE: usize = 16 << 10;

/// Passes on until the time is over, or it is ended.
pub(crate) async fn relay(
    to: SocketAddr,
    cut: Cut,
    percent: u8,
    seed: u64,
    ttl: Duration,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen")?;
    let address = listener.local_addr().context("find the own address")?;
    print(&format!("{LISTENS} {}", address.port()))?;
    let mut listener = Some(listener);
    let over = sleep_until(Instant::now() + ttl);
    tokio::pin!(over);
    let mut random = StdRng::seed_from_u64(seed);
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = &mut over => return Ok(()),
            accepted = accept(listener.as_ref()), if connections.len() < CONNECTIONS_MAX => {
                connections.push(pass(accepted?, to, cut, percent, random.random()));
            }
            Some(passed) = connections.next() => {
                // Whoever connects is to be refused here as it would be there.
                if passed == Passed::NobodyThere {
                    listener = None;
                }
            }
            () = sleep(LOOK), if listener.is_none() => {
                if let Ok(Ok(_)) = timeout(CONNECT, TcpStream::connect(to)).await {
                    listener = Some(TcpListener::bind(address).await.context("listen again")?);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    Something,
    NobodyThere,
}

/// Returns the next connection; never, while it does not listen.
async fn accept(listener: Option<&TcpListener>) -> anyhow::Result<TcpStream> {
    let Some(listener) = listener else { return std::future::pending().await };
    Ok(listener.accept().await.context("accept a connection")?.0)
}

/// Passes one connection on until it ends, by itself or because an answer is cut.
async fn pass(mut asker: TcpStream, to: SocketAddr, cut: Cut, percent: u8, seed: u64) -> Passed {
    let Ok(Ok(mut answerer)) = timeout(CONNECT, TcpStream::connect(to)).await else {
        return Passed::NobodyThere;
    };
    let mut random = StdRng::seed_from_u64(seed);
    let mut is_to_be_cut = false;
    let (mut question, mut answer) = (vec![0; PIECE], vec![0; PIECE]);
    // An end that is gone ends the other with it.
    loop {
        let sent = tokio::select! {
            read = asker.read(&mut question) => match read {
                Ok(0) | Err(_) => return Passed::Something,
                Ok(count) => {
                    let piece = &question[..count];
                    if cut.is_write(piece) {
                        is_to_be_cut = random.random_range(0..100) < percent;
                    }
                    answerer.write_all(piece).await
                }
            },
            read = answerer.read(&mut answer) => match read {
                Ok(0) | Err(_) => return Passed::Something,
                Ok(_) if is_to_be_cut => {
                    // A reset, and not an end that could be taken for the answer's. Without it, it is
                    // closed all the same.
                    drop(asker.set_zero_linger());
                    // Who started it hears of the first, and may be gone.
                    drop(print(CUT));
                    return Passed::Something;
                }
                Ok(count) => asker.write_all(&answer[..count]).await,
            },
        };
        if sent.is_err() {
            return Passed::Something;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_arrives_and_its_answer_does_not() {
        let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut asker = TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
        let (taken, _) = door.accept().await.unwrap();
        let passing = pass(taken, site.local_addr().unwrap(), Cut::Answers, 100, 1);
        let talk = async {
            let (mut answerer, _) = site.accept().await.unwrap();
            let mut heard = [0; 64];
            for (asked, is_answered) in [("GET /livez", true), ("POST /v1/tickets", false)] {
                asker.write_all(asked.as_bytes()).await.unwrap();
                let count = answerer.read(&mut heard).await.unwrap();
                assert_eq!(&heard[..count], asked.as_bytes());
                answerer.write_all(b"ok").await.unwrap();
                assert_eq!(asker.read(&mut heard).await.ok(), is_answered.then_some(2));
            }
        };
        tokio::join!(passing, talk);
    }
}
