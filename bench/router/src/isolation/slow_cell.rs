//! A cell's site that answers at once, or after half a minute, as it is told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

const SLOW: Duration = Duration::from_secs(30);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 512\r\n\r\n";

/// Its threads end with the process, which has nothing else to do.
pub(super) struct SlowCell {
    address: SocketAddr,
    mood: Arc<Mood>,
}

/// Whether it is slow, and who waits because it is.
#[derive(Default)]
struct Mood {
    slow: Mutex<bool>,
    changed: Condvar,
}

impl SlowCell {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen as a slow cell")?;
        let address = listener.local_addr().context("find the slow cell's address")?;
        let mood = Arc::<Mood>::default();
        let told = Arc::clone(&mood);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                // Who asked may be gone; so is the answer then.
                thread::spawn(move || drop(serve(stream, &told)));
            }
        });
        Ok(Self { address, mood })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn be_slow(&self, slow: bool) {
        *self.mood.slow.lock().unwrap_or_else(PoisonError::into_inner) = slow;
        self.mood.changed.notify_all();
    }
}

/// Answers one request after the other; none of them has a body.
fn serve(mut stream: TcpStream, mood: &Mood) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = [ANSWER, &[b'a'; 512]].concat();
    let mut asked = Vec::new();
    let mut bytes = [0; 2048];
    loop {
        while !asked.ends_with(b"\r\n\r\n") {
            match stream.read(&mut bytes)? {
                0 => return Ok(()),
                count => asked.extend_from_slice(&bytes[..count]),
            }
        }
        asked.clear();
        let slow = mood.slow.lock().unwrap_or_else(PoisonError::into_inner);
        drop(mood.changed.wait_timeout_while(slow, SLOW, |slow| *slow));
        stream.write_all(&answer)?;
    }
}
