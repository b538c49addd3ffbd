//! Load on one address: as much as it takes, or so many requests a second.
//!
//! A thread for each connection, which costs the load's core less than an event loop would and needs
//! nothing to be tuned: there are 64 of them.

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use runtime::clock::BootTime;

pub(crate) use connection::Connection;

use crate::shape::Shape;
use crate::users::User;

/// Connections that ask at the same time, as in the figures measured before.
pub(crate) const CONNECTIONS: usize = 64;

/// The requests of all users, ready to be sent.
pub(crate) struct Requests(Vec<Vec<u8>>);

impl Requests {
    pub(crate) fn new(shape: Shape, users: &[User]) -> Arc<Self> {
        Arc::new(Self(users.iter().map(|user| shape.request(user)).collect()))
    }

    /// Returns somebody's request: `turn` by `turn` everybody's, in an order that looks like none.
    pub(crate) fn of(&self, turn: usize) -> &[u8] {
        /// Coprime to every number of users that is a power of ten.
        const STRIDE: usize = 7_368_787;
        &self.0[turn.wrapping_mul(STRIDE) % self.0.len()]
    }
}

/// Connections that ask as fast as they are answered.
pub(crate) struct Load {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, requests: &Arc<Requests>) -> Self {
        let (answered, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let threads = (0..CONNECTIONS)
            .map(|number| {
                let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
                let requests = Arc::clone(requests);
                thread::spawn(move || {
                    let mut connection = Connection::open(address)?;
                    let mut turn = number;
                    while !stop.load(Ordering::Relaxed) {
                        connection.ask(requests.of(turn))?;
                        answered.fetch_add(1, Ordering::Relaxed);
                        turn += CONNECTIONS;
                    }
                    Ok(())
                })
            })
            .collect();
        Self { answered, stop, threads }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it; an error if one request was not answered as it should be.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().try_for_each(join)
    }
}

/// Connections that ask again and again, whatever they are told.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(u64, u64)>>,
}

impl Flood {
    /// Each asks so often, at a moment of its own: those that are answered together do not ask together.
    const EACH: Duration = Duration::from_secs(2);
    /// Longer than a slow cell takes.
    const PATIENCE: Duration = Duration::from_secs(40);

    pub(crate) fn start(address: SocketAddr, requests: &Arc<Requests>, connections: u32) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let begin = BootTime::now();
        let threads = (0..connections)
            .map(|number| {
                let (requests, stop) = (Arc::clone(requests), Arc::clone(&stop));
                thread::spawn(move || {
                    let (mut answered, mut refused) = (0, 0);
                    let mut turn = number as usize;
                    let mut due = begin + Self::EACH * number / connections;
                    let open = || Connection::open_patiently(address, Self::PATIENCE);
                    let mut connection = open();
                    while !stop.load(Ordering::Relaxed) {
                        while due < BootTime::now() {
                            due = due + Self::EACH;
                        }
                        thread::sleep(due.since(BootTime::now()));
                        match connection.as_mut().map(|open| open.status(requests.of(turn))) {
                            Ok(Ok((200, _))) => answered += 1,
                            Ok(Ok(_)) => refused += 1,
                            Ok(Err(_)) | Err(_) => connection = open(),
                        }
                        turn += connections as usize;
                    }
                    (answered, refused)
                })
            })
            .collect();
        Self { stop, threads }
    }

    /// Ends it, and returns how many were answered and how many refused.
    pub(crate) fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.threads.into_iter().filter_map(|thread| thread.join().ok());
        counts.fold((0, 0), |(answered, refused), (more, fewer)| (answered + more, refused + fewer))
    }
}

/// Sends `rate` requests a second, and returns how long after it was due each was answered: one that
/// had to wait for the one before has waited.
pub(crate) fn paced(
    address: SocketAddr,
    requests: &Arc<Requests>,
    rate: u32,
    duration: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let connections = u32::try_from(CONNECTIONS).context("count the connections")?;
    let each = Duration::from_secs(1) * connections / rate;
    let begin = BootTime::now() + each;
    let threads: Vec<JoinHandle<anyhow::Result<Vec<Duration>>>> = (0..connections)
        .map(|number| {
            let requests = Arc::clone(requests);
            thread::spawn(move || {
                let mut connection = Connection::open(address)?;
                let mut waits = Vec::new();
                let mut due = begin + each * number / connections;
                let mut turn = number as usize;
                while due.since(begin) < duration {
                    thread::sleep(due.since(BootTime::now()));
                    connection.ask(requests.of(turn))?;
                    waits.push(BootTime::now().since(due));
                    due = due + each;
                    turn += CONNECTIONS;
                }
                Ok(waits)
            })
        })
        .collect();
    let waits = threads.into_iter().map(join).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(waits.concat())
}

fn join<T>(thread: JoinHandle<anyhow::Result<T>>) -> anyhow::Result<T> {
    // The panic itself has been printed where it happened.
    thread.join().unwrap_or_else(|_panic| Err(anyhow!("end a thread of the load: it panicked")))
}
