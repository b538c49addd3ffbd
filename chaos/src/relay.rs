//! The helper of `net.stream` and `site.slow`: passes on what is sent either way, and ends a share of the
//! connections at the moment their answer to a write comes back, or holds answers back for a while. Who is
//! cut off learns nothing, and what was asked for is done.

mod late;

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::OnceLock;
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

pub(crate) use late::Late;

/// What it says first, with its port after it …
pub(crate) const LISTENS: &str = "listens";
/// … and each time it has cut an answer …
pub(crate) const CUT: &str = "cut";
/// … or the first time that it has held one back.
pub(crate) const LATE: &str = "late";

/// A few times what all routers open to one site. Each takes two of the 1024 files that a process may
/// have open unless it is told otherwise; who comes then waits in the kernel.
const CONNECTIONS_MAX: usize = 400;
const CONNECT: Duration = Duration::from_secs(1);
/// Between two looks for somebody who was not there, and after a connection that could not be taken.
const LOOK: Duration = Duration::from_millis(20);
/// When the time is over, nothing is done to answers any more; until whoever leads connections here has
/// stopped doing so, they are passed on whole and at once.
const LINGER: Duration = Duration::from_mins(1);
const PIECE: usize = 16 << 10;

/// Passes on until it is ended; treats answers so until the time is over.
pub(crate) async fn relay(
    to: SocketAddr,
    treatment: Treatment,
    seed: u64,
    ttl: Duration,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen")?;
    let address = listener.local_addr().context("find the own address")?;
    print(&format!("{LISTENS} {}", address.port()))?;
    let treated = Treated { treatment, until: Instant::now() + ttl };
    let over = sleep_until(treated.until + LINGER);
    let told = OnceLock::new();
    tokio::pin!(over);
    let mut random = StdRng::seed_from_u64(seed);
    let mut connections = FuturesUnordered::new();
    let mut door = Door::Open(listener);
    loop {
        tokio::select! {
            () = &mut over => return Ok(()),
            accepted = door.next(to, address), if connections.len() < CONNECTIONS_MAX => {
                connections.extend(accepted.map(|asker| pass(asker, to, treated, &told, random.random())));
            }
            Some(passed) = connections.next() => {
                // Whoever connects is to be refused here as it would be there.
                if passed == Passed::NobodyThere {
                    door = Door::Closed(Box::pin(until_there(to)));
                }
            }
        }
    }
}

/// What is done to answers.
#[derive(Clone, Copy)]
pub(crate) enum Treatment {
    /// So many of a hundred are cut off.
    Cut { cut: Cut, percent: u8 },
    /// They come so much later.
    Delay { late: Late, by: Duration },
}

/// The same, and until when.
#[derive(Clone, Copy)]
struct Treated {
    treatment: Treatment,
    until: Instant,
}

/// What becomes of the answer to what was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passed,
    Cut,
    Late(Duration),
}

impl Treated {
    /// Returns what a piece that is asked makes of the answer; it may be a further piece of a question.
    fn fate(&self, piece: &[u8], before: Fate, random: &mut StdRng) -> Fate {
        if Instant::now() >= self.until {
            return Fate::Passed;
        }
        match self.treatment {
            Treatment::Cut { cut, percent } if cut.is_write(piece) => {
                if random.random_range(0..100) < percent { Fate::Cut } else { Fate::Passed }
            }
            Treatment::Delay { late, by } if late.is_asked(piece) => Fate::Late(by),
            Treatment::Cut { .. } | Treatment::Delay { .. } => before,
        }
    }
}

/// Where connections come in; closed while nobody is there to pass them on to.
enum Door {
    Open(TcpListener),
    Closed(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Door {
    /// Returns the next connection, or nothing where none could be taken or the door was opened again.
    /// May be dropped and asked again.
    async fn next(&mut self, to: SocketAddr, address: SocketAddr) -> Option<TcpStream> {
        match self {
            Self::Open(listener) => {
                if let Ok((asker, _)) = listener.accept().await {
                    return Some(asker);
                }
                // One that went away meanwhile, or too many files: both pass.
                sleep(LOOK).await;
                None
            }
            Self::Closed(there) => {
                there.await;
                *self = match TcpListener::bind(address).await {
                    Ok(listener) => Self::Open(listener),
                    Err(_) => Self::Closed(Box::pin(until_there(to))),
                };
                None
            }
        }
    }
}

/// Returns once somebody is there.
async fn until_there(to: SocketAddr) {
    loop {
        sleep(LOOK).await;
        if let Ok(Ok(_)) = timeout(CONNECT, TcpStream::connect(to)).await {
            return;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    Something,
    NobodyThere,
}

/// Passes one connection on until it ends, by itself or because an answer is cut.
async fn pass(
    mut asker: TcpStream,
    to: SocketAddr,
    treated: Treated,
    told: &OnceLock<()>,
    seed: u64,
) -> Passed {
    let Ok(Ok(mut answerer)) = timeout(CONNECT, TcpStream::connect(to)).await else {
        return Passed::NobodyThere;
    };
    let mut random = StdRng::seed_from_u64(seed);
    let mut fate = Fate::Passed;
    let (mut question, mut answer) = (vec![0; PIECE], vec![0; PIECE]);
    // An end that is gone ends the other with it.
    loop {
        let sent = tokio::select! {
            read = asker.read(&mut question) => match read {
                Ok(0) | Err(_) => return Passed::Something,
                Ok(count) => {
                    let piece = &question[..count];
                    fate = treated.fate(piece, fate, &mut random);
                    answerer.write_all(piece).await
                }
            },
            read = answerer.read(&mut answer) => match read {
                Ok(0) | Err(_) => return Passed::Something,
                Ok(_) if fate == Fate::Cut => {
                    // A reset, and not an end that could be taken for the answer's. Without it, it is
                    // closed all the same.
                    drop(asker.set_zero_linger());
                    // Who started it hears of the first, and may be gone.
                    drop(print(CUT));
                    return Passed::Something;
                }
                Ok(count) => {
                    // Only its beginning: what follows comes right behind.
                    if let Fate::Late(by) = std::mem::replace(&mut fate, Fate::Passed) {
                        sleep(by).await;
                        told.get_or_init(|| drop(print(LATE)));
                    }
                    asker.write_all(&answer[..count]).await
                }
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

    fn cutting(until: Instant) -> Treated {
        Treated { treatment: Treatment::Cut { cut: Cut::Answers, percent: 100 }, until }
    }

    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_hours(1)
    }

    #[tokio::test]
    async fn a_write_arrives_and_its_answer_does_not() {
        let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut asker = TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
        let (taken, _) = door.accept().await.unwrap();
        let told = OnceLock::new();
        let passing = pass(taken, site.local_addr().unwrap(), cutting(in_an_hour()), &told, 1);
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

    #[test]
    fn nothing_is_done_to_answers_once_the_time_is_over() {
        let mut random = StdRng::seed_from_u64(1);
        let mut fate =
            |treated: Treated| treated.fate(b"POST /v1/tickets", Fate::Passed, &mut random);
        assert_eq!(fate(cutting(in_an_hour())), Fate::Cut);
        assert_eq!(fate(cutting(Instant::now())), Fate::Passed);
        let by = Duration::from_millis(800);
        let treatment = Treatment::Delay { late: Late::Answers, by };
        assert_eq!(fate(Treated { treatment, until: in_an_hour() }), Fate::Late(by));
        assert_eq!(fate(Treated { treatment, until: Instant::now() }), Fate::Passed);
    }

    #[test]
    fn of_what_a_session_is_asked_beside_the_users_way_only_canaries_are_late() {
        let by = Duration::from_millis(800);
        let treatment = Treatment::Delay { late: Late::Canaries, by };
        let treated = Treated { treatment, until: in_an_hour() };
        let mut random = StdRng::seed_from_u64(1);
        let mut fate = |piece: &[u8]| treated.fate(piece, Fate::Passed, &mut random);
        assert_eq!(fate(b"POST /v1/canary HTTP/1.1\r\n"), Fate::Late(by));
        assert_eq!(fate(b"GET /v1/in-flight HTTP/1.1\r\n"), Fate::Passed);
    }

    #[tokio::test]
    async fn whoever_comes_is_refused_until_somebody_is_there_again() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let site = taken.local_addr().unwrap();
        let mut door = Door::Closed(Box::pin(until_there(site)));
        assert!(TcpStream::connect(address).await.is_err());
        // Looking out is not begun anew each time something else happens meanwhile.
        while timeout(LOOK / 2, door.next(site, address)).await.is_err() {}
        assert!(matches!(door, Door::Open(_)));
        let asking = TcpStream::connect(address);
        let (asker, accepted) = tokio::join!(asking, door.next(site, address));
        assert!(asker.is_ok() && accepted.is_some());
    }
}
