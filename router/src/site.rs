//! The site a cell's requests go to under one epoch, and how it is talked to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pingora_core::protocols::l4::ext::TcpKeepalive;
use pingora_core::upstreams::peer::HttpPeer;
use topology::{CellId, Epoch, RegionId};

use crate::decide::retry::Repeatable;
use crate::lines::Lines;

/// A strong commit is answered within 5 s, if only as unknown; then comes the network.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// A standby reads a few rows of its own; the next one, or the client, is not kept waiting longer.
const STALE_SILENCE_MAX: Duration = Duration::from_millis(750);
/// Event streams say something at least every 15 s; a connection that stays silent is dead.
const STREAM_SILENCE_MAX: Duration = Duration::from_mins(1);
/// Less than the 75 s after which servers commonly close idle connections.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A host that died is noticed by TCP even where nothing else is said.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(1),
    interval: Duration::from_secs(1),
    count: 3,
    user_timeout: Duration::from_millis(1500),
};

/// Who uses a site's connections: one made for one of these never carries another's request.
#[derive(Clone, Copy, Hash)]
enum Use {
    Repeatable,
    Once,
    Stale,
}

/// A cell's active site, under the epoch it was activated with; or a standby, asked for old answers
/// under it.
pub(crate) struct Site {
    pub(crate) cell: CellId,
    pub(crate) epoch: Epoch,
    pub(crate) gateway: SocketAddr,
    pub(crate) headers: SiteHeaders,
    /// For requests that may be sent again: ended with the epoch.
    repeatable: HttpPeer,
    lines: Lines,
    /// For requests that may not: these wait for the answer to the last, for it may still come.
    once: HttpPeer,
}

/// What answers and requests carry, ready to be copied.
pub(crate) struct SiteHeaders {
    pub(crate) cell: HeaderValue,
    pub(crate) region: HeaderValue,
    pub(crate) epoch: HeaderValue,
}

impl Site {
    pub(crate) fn new(cell: CellId, region: &RegionId, epoch: Epoch, gateway: SocketAddr) -> Self {
        let lines = Lines::default();
        let ascii = |text: &str| HeaderValue::from_str(text).expect("ids and numbers are ASCII");
        let headers = SiteHeaders {
            cell: ascii(cell.as_str()),
            region: ascii(region.as_str()),
            epoch: HeaderValue::from(epoch.0),
        };
        Self {
            repeatable: peer(gateway, group(&cell, epoch, Use::Repeatable), lines.clone()),
            once: peer(gateway, group(&cell, epoch, Use::Once), Lines::default()),
            lines,
            cell,
            epoch,
            gateway,
            headers,
        }
    }

    /// A site that does not serve under this epoch. Its connections are nobody's to end: each
    /// waits but a moment.
    pub(crate) fn standby(
        cell: CellId,
        region: &RegionId,
        epoch: Epoch,
        gateway: SocketAddr,
    ) -> Self {
        let mut site = Self::new(cell, region, epoch, gateway);
        let group = group(&site.cell, epoch, Use::Stale);
        site.repeatable = peer(gateway, group, site.lines.clone());
        site.repeatable.options.read_timeout = Some(STALE_SILENCE_MAX);
        site
    }

    /// Returns how to reach the site for one request.
    pub(crate) fn peer(&self, repeatable: Repeatable, is_stream: bool) -> Box<HttpPeer> {
        let peer = match repeatable {
            Repeatable::Safe | Repeatable::Idempotent => &self.repeatable,
            Repeatable::Never => &self.once,
        };
        let mut peer = Box::new(peer.clone());
        if is_stream {
            peer.options.read_timeout = Some(STREAM_SILENCE_MAX);
        }
        peer
    }

    /// Says that the cell is served under a later epoch: who waits for this site need not any more.
    pub(crate) fn end(&self) {
        self.lines.end();
    }
}

fn peer(gateway: SocketAddr, group: u64, lines: Lines) -> HttpPeer {
    let mut peer = HttpPeer::new(gateway, false, String::new());
    peer.group_key = group;
    peer.options.custom_l4 = Some(Arc::new(lines));
    peer.options.read_timeout = Some(SILENCE_MAX);
    peer.options.write_timeout = Some(SILENCE_MAX);
    peer.options.idle_timeout = Some(IDLE_MAX);
    peer.options.tcp_keepalive = Some(KEEPALIVE);
    peer
}

/// Connections are pooled by this: one made under an epoch never carries another epoch's request.
fn group(cell: &CellId, epoch: Epoch, by: Use) -> u64 {
    let mut hasher = DefaultHasher::new();
    (cell, epoch, by).hash(&mut hasher);
    hasher.finish()
}
