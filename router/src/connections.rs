//! How many connections there may be at once, each with its pace.
//!
//! Connections are the one thing that all cells' users share. A cell's share of requests under way
//! and of waiting ones is smaller than the number of connections, so a cell that hangs cannot fill
//! them; clients that only connect are shown out by their pace.

use std::sync::Arc;

use pingora_core::apps::HttpServerOptions;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_proxy::HttpProxy;
use prometheus::IntGauge;
use topology::spec::edge::Limits;

use crate::pace::Paced;
use crate::proxy::Proxy;
use crate::room::Seats;

/// Streams that a client has reset and nobody has looked at yet; some are normal when a page is
/// left, many are an attack (CVE-2023-44487).
const RESETS_MAX: usize = 50;
/// Each stream's window: a whole body fits, so that nobody waits for permission to go on.
const WINDOW: u32 = 64 * 1024;

/// The users' connections that are open.
pub(crate) struct Connections {
    limits: Limits,
    seats: Arc<Seats>,
    gauge: IntGauge,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    gauge: IntGauge,
}

impl Connections {
    pub(crate) fn new(limits: Limits, gauge: IntGauge) -> Self {
        Self { limits, seats: Arc::default(), gauge }
    }

    /// Returns a place for one more, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        if !self.seats.take(1, self.limits.connections as usize) {
            return None;
        }
        self.gauge.inc();
        Some(Seat { seats: Arc::clone(&self.seats), gauge: self.gauge.clone() })
    }

    /// Returns a connection that is closed when its client takes too long.
    pub(crate) fn paced(&self, stream: Stream, seat: Seat) -> Stream {
        Box::new(Paced::new(stream, &self.limits, seat))
    }
}

/// Sets what one connection may ask for.
pub(crate) fn bound(proxy: &mut HttpProxy<Proxy>, limits: &Limits) {
    let mut options = HttpServerOptions::default();
    // Pingora counts how often a connection is used again.
    options.keepalive_request_limit = Some(limits.requests_per_connection - 1);
    options.h2_idle_timeout = Some(limits.idle);
    proxy.server_options = Some(options);
    proxy.h2_options = Some(http2(limits));
}

#[cfg(test)]
impl Default for Seat {
    /// A place at a door of its own.
    fn default() -> Self {
        let seats = Arc::<Seats>::default();
        seats.take(1, 1);
        Self { seats, gauge: IntGauge::new("connections", "connections").expect("it is a name") }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.leave(1);
        self.gauge.dec();
    }
}

/// What one HTTP/2 connection may ask for at once, and how it may change its mind.
fn http2(limits: &Limits) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.head.bytes).unwrap_or(u32::MAX))
        .initial_window_size(WINDOW)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_concurrent_reset_streams(RESETS_MAX);
    options
}
