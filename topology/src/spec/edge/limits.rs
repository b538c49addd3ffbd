//! How much of anything a router takes on. Every limit has a default that suits a router with
//! 64 Ki open files and 1 GiB of memory; a number in the file replaces one default and no other.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::spec::Problem;
use crate::spec::reader::{Reader, Section};

const COUNT: RangeInclusive<u32> = 1..=10_000_000;
const SIZE: RangeInclusive<usize> = 1..=1 << 40;
/// What is kept in order to send a request again, and the service chain's own limit.
const BODY_MAX: usize = 64 * 1024;
const WAIT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

/// What one router takes on. Totals are shared among cells in equal parts, so that no cell can take
/// another's (I8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What one user may ask of one router.
    pub user: Rate,
    /// What may be asked of one cell, through all routers together.
    pub cell: Rate,
    /// Requests at sites at once, of all cells.
    pub requests: u32,
    /// Open event streams and `WebSockets`, of all cells; they last, and would fill `requests`.
    pub streams: u32,
    pub held: Held,
    pub connections: u32,
    /// After which a connection is closed, and its memory given back.
    pub requests_per_connection: u32,
    /// How long a connection may stay open without a request.
    pub idle: Duration,
    pub head: Head,
    /// Largest body, in bytes.
    pub body: usize,
    pub slow: Slow,
    pub breaker: Breaker,
    /// Requests at once on one HTTP/2 connection.
    pub http2_streams: u32,
}

/// Requests per second, and how many at once after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub rate: u32,
    pub burst: u32,
}

/// Requests that wait for their cell to have an active site, and the memory they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub requests: u32,
    pub bytes: usize,
}

/// A request's head: bytes of its URI, number of its headers, bytes of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub uri: usize,
    pub headers: u32,
    pub bytes: usize,
}

/// A client that is sending a request may take `grace`, and a second more for every `rate` bytes. One that is
/// answered may leave bytes untaken for `unread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    pub grace: Duration,
    pub rate: usize,
    pub unread: Duration,
}

/// When a cell that answers, and fails, is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Answers within ten seconds below which nothing is concluded.
    pub requests: u32,
    /// Share of them that must have failed.
    pub failed_percent: u32,
    /// How long the cell is left alone at first; twice that after a trial that failed.
    pub pause: Duration,
}

impl Default for Limits {
    /// What a `regions.yaml` without this section means.
    fn default() -> Self {
        Self {
            user: Rate { rate: 100, burst: 200 },
            cell: Rate { rate: 20_000, burst: 40_000 },
            requests: 3_000,
            streams: 6_000,
            held: Held { requests: 6_000, bytes: 256 * 1024 * 1024 },
            connections: 16_000,
            requests_per_connection: 10_000,
            idle: Duration::from_mins(1),
            head: Head { uri: 8 * 1024, headers: 100, bytes: 32 * 1024 },
            body: BODY_MAX,
            // In between clients are on trains and in tunnels.
            slow: Slow {
                grace: Duration::from_secs(5),
                rate: 1024,
                unread: Duration::from_secs(30),
            },
            breaker: Breaker { requests: 20, failed_percent: 50, pause: Duration::from_secs(2) },
            http2_streams: 100,
        }
    }
}

impl Reader {
    /// May be left out, as may each of its keys.
    pub(super) fn limits(&mut self, edge: &Section<'_>) -> Limits {
        let mut limits = Limits::default();
        let keys = [
            "user",
            "cell",
            "requests",
            "streams",
            "held",
            "connections",
            "requests-per-connection",
            "idle",
            "head",
            "body",
            "slow",
            "breaker",
            "http2-streams",
        ];
        let Some(section) = self.part(edge, "limits", &keys) else { return limits };
        self.rate(&section, "user", &mut limits.user);
        self.rate(&section, "cell", &mut limits.cell);
        self.count(&section, "requests", &mut limits.requests);
        self.count(&section, "streams", &mut limits.streams);
        self.count(&section, "connections", &mut limits.connections);
        self.count(&section, "requests-per-connection", &mut limits.requests_per_connection);
        self.count(&section, "http2-streams", &mut limits.http2_streams);
        self.wait(&section, "idle", &mut limits.idle);
        self.bytes(&section, "body", &mut limits.body);
        if limits.body > BODY_MAX {
            self.report(&section, "body", Problem::OutOfRange(kib(limits.body), "at most 64KiB"));
        }
        if let Some(held) = self.part(&section, "held", &["requests", "bytes"]) {
            self.count(&held, "requests", &mut limits.held.requests);
            self.bytes(&held, "bytes", &mut limits.held.bytes);
        }
        if let Some(head) = self.part(&section, "head", &["uri", "headers", "bytes"]) {
            self.bytes(&head, "uri", &mut limits.head.uri);
            self.count(&head, "headers", &mut limits.head.headers);
            self.bytes(&head, "bytes", &mut limits.head.bytes);
        }
        if let Some(slow) = self.part(&section, "slow", &["grace", "rate", "unread"]) {
            self.wait(&slow, "grace", &mut limits.slow.grace);
            self.bytes(&slow, "rate", &mut limits.slow.rate);
            self.wait(&slow, "unread", &mut limits.slow.unread);
        }
        if let Some(breaker) =
            self.part(&section, "breaker", &["requests", "failed-percent", "pause"])
        {
            self.count(&breaker, "requests", &mut limits.breaker.requests);
            self.count(&breaker, "failed-percent", &mut limits.breaker.failed_percent);
            self.wait(&breaker, "pause", &mut limits.breaker.pause);
            if limits.breaker.failed_percent > 100 {
                let found = limits.breaker.failed_percent.to_string();
                self.report(&breaker, "failed-percent", Problem::OutOfRange(found, "1 to 100"));
            }
        }
        limits
    }

    fn part<'a>(
        &mut self,
        item: &Section<'a>,
        key: &'static str,
        keys: &[&str],
    ) -> Option<Section<'a>> {
        let node = item.map.get_node(key)?;
        self.section(node, item.place_of(key), keys)
    }

    fn rate(&mut self, item: &Section<'_>, key: &'static str, into: &mut Rate) {
        let Some(rate) = self.part(item, key, &["rate", "burst"]) else { return };
        self.count(&rate, "rate", &mut into.rate);
        self.count(&rate, "burst", &mut into.burst);
    }

    fn count(&mut self, item: &Section<'_>, key: &'static str, into: &mut u32) {
        if item.map.get_node(key).is_none() {
            return;
        }
        let Some(count) = self.parsed::<u32>(item, key, "a whole number") else { return };
        if !COUNT.contains(&count) {
            self.report(item, key, Problem::OutOfRange(count.to_string(), "1 to 10000000"));
        }
        *into = count;
    }

    fn wait(&mut self, item: &Section<'_>, key: &'static str, into: &mut Duration) {
        if item.map.get_node(key).is_none() {
            return;
        }
        let Some(wait) = self.duration(item, key) else { return };
        if !WAIT.contains(&wait) {
            self.report(item, key, Problem::OutOfRange(format!("{wait:?}"), "100ms to 1h"));
        }
        *into = wait;
    }

    fn bytes(&mut self, item: &Section<'_>, key: &'static str, into: &mut usize) {
        if item.map.get_node(key).is_none() {
            return;
        }
        let Some(bytes) = self.size(item, key) else { return };
        if !SIZE.contains(&bytes) {
            self.report(item, key, Problem::OutOfRange(kib(bytes), "1B to 1024GiB"));
        }
        *into = bytes;
    }

    /// A size with its unit: `512B`, `8KiB`, `1MiB` or `2GiB`.
    fn size(&mut self, item: &Section<'_>, key: &'static str) -> Option<usize> {
        let node = self.text(item, key)?;
        let text = node.as_str();
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
        let size = units.into_iter().find_map(|(unit, bytes)| {
            let number: usize = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(bytes)
        });
        if size.is_none() {
            let expected = "a size such as 512B, 8KiB or 1MiB";
            self.report(item, key, Problem::WrongType { expected, found: format!("{text:?}") });
        }
        size
    }
}

fn kib(bytes: usize) -> String {
    format!("{}KiB", bytes / 1024)
}
