//! A site's gateway that does what a test tells it, and remembers what it was asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The bytes of a long answer.
pub(crate) const LONG: usize = 64 * 1024 * 1024;

/// What a site does with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Does it and answers 200.
    Answer,
    /// Fails with a plain 500.
    Fail,
    /// Refuses with a plain 503: there is no room.
    Shed,
    /// Refuses with 503 and `x-bulkhead-refused`: it serves, and does not do this.
    Refuse,
    /// Refuses with 421.
    Misdirect,
    /// The same, and says that north serves under epoch 9.
    PointNorth,
    /// Refuses with 503 and `x-bulkhead-state`.
    NotServing,
    /// Refuses likewise before it has read the body, and closes the connection.
    RefuseUnread,
    /// Does it, and says that nobody knows whether it lasts.
    OutcomeUnknown,
    /// Does it, and hangs up instead of answering.
    HangUp,
    /// Does nothing and says nothing, for as long as the connection lasts.
    StaySilent,
    /// Answers as a standby does, with a commit 4 s ago as the last it has heard of.
    Stale,
    /// Begins an answer of so many bytes, and says no more.
    Pause,
    /// Answers with more than all buffers on the way hold.
    Long,
    /// Answers with an event stream: one event, then silence.
    Stream,
    /// The same, but the stream stops in its second event.
    HalfAnEvent,
    /// Opens a WebSocket and says one word, and then nothing.
    Socket,
}

/// A request as the site saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Method, target and version.
    pub(crate) line: String,
    /// By lowercase name; those that came twice are joined.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    opened: Arc<Condvar>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    seen: Vec<Seen>,
    /// Keys of what was done; a request without a key counts each time.
    done: BTreeSet<String>,
    at_once: usize,
    most_at_once: usize,
    /// While it is, answers wait.
    is_shut: bool,
}

impl Site {
    /// Starts a site that acts by `script` and, when that is over, answers.
    pub(crate) fn start(script: impl IntoIterator<Item = Act>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), script)
    }

    pub(crate) fn at(address: SocketAddr, script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let script = script.into_iter().collect();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let site = Self { address, state, opened: Arc::default() };
        let accepting = site.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let site = accepting.clone();
                thread::spawn(move || site.serve(&stream));
            }
        });
        site
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Waits until it was asked so many times more.
    pub(crate) async fn saw_more(&self, count: usize) {
        let seen = || self.state.lock().unwrap().seen.len();
        let enough = seen() + count;
        while seen() < enough {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Keeps its answers to itself from now on, until it is opened.
    pub(crate) fn shut(&self) {
        self.state.lock().unwrap().is_shut = true;
    }

    /// Answers everybody who waits, and the next at once.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().is_shut = false;
        self.opened.notify_all();
    }

    /// Returns how many different things were done.
    pub(crate) fn effects(&self) -> usize {
        self.state.lock().unwrap().done.len()
    }

    /// Returns how many requests it has had at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most_at_once
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        while let Some(mut seen) = head(&mut reader) {
            let act = self.begin();
            let is_unread = matches!(act, Act::RefuseUnread);
            if !is_unread && body(&mut reader, &mut seen).is_none() {
                return;
            }
            self.note(seen, act);
            let answer = answer(act);
            // Over before it is answered: the next one may come as soon as the router knows.
            let shut = self.state.lock().unwrap();
            let mut state = self.opened.wait_while(shut, |state| state.is_shut).unwrap();
            state.at_once -= usize::from(!matches!(act, Act::StaySilent));
            drop(state);
            let Some(answer) = answer else { return };
            if writer.write_all(answer.as_bytes()).is_err() || is_unread {
                return;
            }
            if matches!(act, Act::Socket) && writer.write_all(b"\x81\x02hi").is_err() {
                return;
            }
        }
    }

    fn begin(&self) -> Act {
        let mut state = self.state.lock().unwrap();
        state.at_once += 1;
        state.most_at_once = state.most_at_once.max(state.at_once);
        state.script.pop_front().unwrap_or(Act::Answer)
    }

    fn note(&self, seen: Seen, act: Act) {
        let mut state = self.state.lock().unwrap();
        if matches!(act, Act::Answer | Act::OutcomeUnknown | Act::HangUp) {
            let number = state.seen.len().to_string();
            let key = seen.headers.get("idempotency-key").cloned().unwrap_or(number);
            state.done.insert(key);
        }
        state.seen.push(seen);
    }
}

/// Returns what goes over the wire; none where the connection is closed instead.
fn answer(act: Act) -> Option<String> {
    let refusal =
        |status, header| format!("HTTP/1.1 {status}\r\n{header}content-length: 0\r\n\r\n");
    Some(match act {
        Act::Answer => "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n".to_owned(),
        Act::Stale => "HTTP/1.1 200 OK\r\nx-bulkhead-stale: 4\r\ncache-control: no-store\r\n\
                       content-length: 4\r\n\r\nold\n"
            .to_owned(),
        Act::Fail => refusal("500 Internal Server Error", ""),
        Act::Shed => refusal("503 Service Unavailable", ""),
        Act::Refuse => refusal("503 Service Unavailable", "x-bulkhead-refused: at-risk\r\n"),
        Act::Misdirect => refusal("421 Misdirected Request", ""),
        Act::PointNorth => refusal("421 Misdirected Request", "x-bulkhead-active: 9 north\r\n"),
        Act::NotServing | Act::RefuseUnread => {
            refusal("503 Service Unavailable", "x-bulkhead-state: draining\r\n")
        }
        Act::OutcomeUnknown => {
            refusal("503 Service Unavailable", "x-bulkhead-outcome: unknown\r\n")
        }
        Act::HangUp => return None,
        Act::StaySilent => String::new(),
        Act::Long => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LONG}\r\n\r\n");
            head + &"x".repeat(LONG)
        }
        Act::Pause => "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhalf".to_owned(),
        Act::Stream => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
            .to_owned(),
        Act::HalfAnEvent => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n10\r\ndata: 1\n\ndata: 2\r\n"
            .to_owned(),
        Act::Socket => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                        upgrade: websocket\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            .to_owned(),
    })
}

/// Reads a request's head; none when the connection ends.
fn head(reader: &mut BufReader<&TcpStream>) -> Option<Seen> {
    let mut seen = Seen { line: line(reader)?, ..Seen::default() };
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Some(seen) };
        seen.headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|values| *values = format!("{values}, {}", value.trim()))
            .or_insert_with(|| value.trim().to_owned());
    }
}

/// Reads its body; none when it is not whole.
fn body(reader: &mut BufReader<&TcpStream>, seen: &mut Seen) -> Option<()> {
    if seen.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let size = usize::from_str_radix(&line(reader)?, 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            seen.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Some(());
            }
        }
    }
    let length = seen.headers.get("content-length").and_then(|length| length.parse().ok());
    seen.body.resize(length.unwrap_or(0), 0);
    reader.read_exact(&mut seen.body).ok()
}

fn line(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}
