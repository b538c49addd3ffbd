//! A stream on its way through the router, which must be able to end it without breaking it.
//!
//! When a site or the router itself goes, what is left is a stream whose client waits for more. Its
//! last words tell the client to come back. They name no message: the client knows which was the
//! last that it has taken whole, and says so when it comes back, as `Last-Event-ID` or `after_seq`.
//! Without an `id` they leave a browser's `Last-Event-ID` as it is. A site that ends a stream itself
//! has read that number, and gives it.
//!
//! They are only said between two whole events: after half an event the client would take what it
//! has for the whole, or the last words for a part of it. There the connection is cut instead, and
//! the client comes back as well.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

/// The status of a WebSocket's end that means: come back (RFC 6455, as registered by IANA).
const SERVICE_RESTART: u16 = 1012;
const MOVED_EVENT: &[u8] = b"event: moved\ndata: {}\n\n";
const MOVED_TEXT: &[u8] = br#"{"type":"moved"}"#;

/// What a client asks to be kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Server-sent events.
    Events,
    /// A WebSocket.
    Socket,
}

impl Kind {
    /// Returns which stream a request asks for, if one.
    pub(crate) fn of(head: &Parts) -> Option<Self> {
        if names(&head.headers, &header::UPGRADE, "websocket") {
            return Some(Self::Socket);
        }
        names(&head.headers, &header::ACCEPT, "text/event-stream").then_some(Self::Events)
    }

    /// Returns whether an answer is the stream that was asked for, and not a refusal.
    pub(crate) fn is_begun_by(self, status: StatusCode, headers: &HeaderMap) -> bool {
        match self {
            Self::Events => names(headers, &header::CONTENT_TYPE, "text/event-stream"),
            Self::Socket => status == StatusCode::SWITCHING_PROTOCOLS,
        }
    }
}

fn names(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains(word))
}

/// What has been sent of a stream so far, as far as its end needs to know.
#[derive(Debug)]
pub(crate) enum Carried {
    Events(Lines),
    Socket(Frames),
}

impl Carried {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Events => Self::Events(Lines::default()),
            Kind::Socket => Self::Socket(Frames::default()),
        }
    }

    /// Notes what the site sends.
    pub(crate) fn saw(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(lines) => lines.saw(bytes),
            Self::Socket(frames) => frames.saw(bytes),
        }
    }

    /// Returns what ends the stream, where it can be ended and the site has not done so itself.
    pub(crate) fn last_words(&self) -> Option<Bytes> {
        match self {
            Self::Events(lines) => lines.is_between().then(|| Bytes::from_static(MOVED_EVENT)),
            Self::Socket(frames) => frames.is_between().then(moved_frames),
        }
    }

    /// The same for what ends without an error.
    pub(crate) fn last_words_of_socket(&self) -> Option<Bytes> {
        matches!(self, Self::Socket(_)).then(|| self.last_words()).flatten()
    }
}

/// An event that ends a stream before it has begun.
pub(crate) fn moved_event() -> Bytes {
    Bytes::from_static(MOVED_EVENT)
}

fn moved_frames() -> Bytes {
    let mut frames = Vec::with_capacity(2 + MOVED_TEXT.len() + 4);
    frames.extend([0x80 | TEXT, length(MOVED_TEXT)]);
    frames.extend(MOVED_TEXT);
    let why = SERVICE_RESTART.to_be_bytes();
    frames.extend([0x80 | CLOSE, length(&why)]);
    frames.extend(why);
    frames.into()
}

/// A short frame's length is its second byte.
fn length(payload: &[u8]) -> u8 {
    u8::try_from(payload.len()).expect("these are shorter than 126 bytes")
}

/// The end of what was sent of an event stream.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    began: bool,
    /// Line feeds at the end; two are an empty line, which ends an event.
    feeds: u8,
}

impl Lines {
    fn saw(&mut self, bytes: &[u8]) {
        self.began |= !bytes.is_empty();
        for byte in bytes {
            match byte {
                b'\n' => self.feeds = self.feeds.saturating_add(1),
                b'\r' => {}
                _ => self.feeds = 0,
            }
        }
    }

    fn is_between(&self) -> bool {
        !self.began || self.feeds >= 2
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
/// The longest head of a frame that is not masked: two bytes, and a length of eight.
const HEAD_MAX: usize = 10;

/// Where in a WebSocket's frames the site is.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: Vec<u8>,
    /// Of the frame's payload, still to come.
    left: u64,
    /// A message in several frames has begun and not ended.
    in_message: bool,
    closed: bool,
}

impl Frames {
    fn saw(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= taken as u64;
                bytes = &bytes[taken..];
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if let Some(length) = frame_length(&self.head) {
                self.frame(self.head[0], length);
                self.head.clear();
            }
        }
    }

    fn frame(&mut self, first: u8, length: u64) {
        self.left = length;
        let is_last = first & 0x80 != 0;
        match first & 0x0f {
            CONTINUATION | TEXT | BINARY => self.in_message = !is_last,
            CLOSE => self.closed = true,
            _ => {}
        }
    }

    fn is_between(&self) -> bool {
        self.head.is_empty() && self.left == 0 && !self.in_message && !self.closed
    }
}

/// Returns the length of a frame's payload, once its head is whole. A site does not mask.
fn frame_length(head: &[u8]) -> Option<u64> {
    debug_assert!(head.len() <= HEAD_MAX);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    match (head.get(1)? & 0x7f, head.len()) {
        (126, 4..) => Some(number(&head[2..4])),
        (127, 10..) => Some(number(&head[2..10])),
        (126 | 127, _) => None,
        (short, _) => Some(u64::from(short)),
    }
}

#[cfg(test)]
mod tests;
