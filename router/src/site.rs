//! The site a cell's requests go to under one epoch, and how it is talked to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pingora_core::protocols::l4::ext::TcpKeepalive;
use pingora_core::upstreams::peer::HttpPeer;
use topology::spec::MutualTls;
use topology::{CellId, Epoch, RegionId};

use crate::decide::retry::Repeatable;
use crate::lines::Lines;
use crate::mutual::Mutual;
use crate::stream::Kind;

/// A strong commit is answered within 5 s, if only as unknown; then comes the network. Within this a
/// request's body must have come, too.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// A standby reads a few rows of its own; the next one, or the client, is not kept waiting longer.
const STALE_SILENCE_MAX: Duration = Duration::from_millis(750);
/// A public file is in memory; another site is asked rather than waiting longer for this one.
const PUBLIC_SILENCE_MAX: Duration = Duration::from_millis(1500);
/// Streams say something at least every 15 s; a connection that stays silent is dead.
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
    Stream,
    Stale,
    Public,
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
    /// For streams: ended with the epoch, or when this router ends.
    stream: HttpPeer,
    stream_lines: Lines,
    /// None: talked to in the open.
    mutual: Option<Mutual>,
}

/// What answers and requests carry, ready to be copied.
pub(crate) struct SiteHeaders {
    pub(crate) cell: HeaderValue,
    pub(crate) region: HeaderValue,
    pub(crate) epoch: HeaderValue,
}

impl Site {
    pub(crate) fn new(
        cell: CellId,
        region: &RegionId,
        epoch: Epoch,
        gateway: SocketAddr,
        mutual: Option<Mutual>,
    ) -> Self {
        let (lines, stream_lines) = (Lines::default(), Lines::default());
        let peer = |by, lines| peer(gateway, group(&cell, epoch, by), lines, mutual.is_some());
        let mut stream = peer(Use::Stream, stream_lines.clone());
        stream.options.read_timeout = Some(STREAM_SILENCE_MAX);
        let ascii = |text: &str| HeaderValue::from_str(text).expect("ids and numbers are ASCII");
        let headers = SiteHeaders {
            cell: ascii(cell.as_str()),
            region: ascii(region.as_str()),
            epoch: HeaderValue::from(epoch.0),
        };
        Self {
            repeatable: peer(Use::Repeatable, lines.clone()),
            once: peer(Use::Once, Lines::default()),
            lines,
            stream,
            stream_lines,
            mutual,
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
        mutual: Option<Mutual>,
    ) -> Self {
        let mut site = Self::new(cell, region, epoch, gateway, mutual);
        let group = group(&site.cell, epoch, Use::Stale);
        site.repeatable = peer(gateway, group, site.lines.clone(), site.mutual.is_some());
        site.repeatable.options.read_timeout = Some(STALE_SILENCE_MAX);
        site
    }

    /// Returns how to reach the site for one request.
    pub(crate) fn peer(&self, repeatable: Repeatable, stream: Option<Kind>) -> Box<HttpPeer> {
        let peer = match (stream, repeatable) {
            (Some(_), _) => &self.stream,
            (None, Repeatable::Safe | Repeatable::Idempotent) => &self.repeatable,
            (None, Repeatable::Never) => &self.once,
        };
        let mut peer = Box::new(peer.clone());
        if let Some(mutual) = &self.mutual {
            mutual.secure(&mut peer, stream);
        }
        peer
    }

    /// Ends the streams: each client is told to come back.
    pub(crate) fn end_streams(&self) {
        self.stream_lines.end();
    }

    /// Says that the cell is served under a later epoch: who waits for this site need not any more.
    pub(crate) fn end(&self) {
        self.lines.end();
        self.end_streams();
    }
}

fn peer(gateway: SocketAddr, group: u64, lines: Lines, is_secure: bool) -> HttpPeer {
    let name = if is_secure { MutualTls::SITE } else { "" };
    let mut peer = HttpPeer::new(gateway, is_secure, name.to_owned());
    peer.group_key = group;
    peer.options.custom_l4 = Some(Arc::new(lines));
    peer.options.read_timeout = Some(SILENCE_MAX);
    peer.options.write_timeout = Some(SILENCE_MAX);
    peer.options.idle_timeout = Some(IDLE_MAX);
    peer.options.tcp_keepalive = Some(KEEPALIVE);
    peer
}

/// Returns how to reach a site for a read that any site can answer. Its connections belong to no
/// epoch: they outlive every move of a cell.
pub(crate) fn public_peer(gateway: SocketAddr, mutual: Option<&Mutual>) -> Box<HttpPeer> {
    let mut hasher = DefaultHasher::new();
    (gateway, Use::Public).hash(&mut hasher);
    let peer = peer(gateway, hasher.finish(), Lines::default(), mutual.is_some());
    let mut peer = Box::new(peer);
    peer.options.read_timeout = Some(PUBLIC_SILENCE_MAX);
    if let Some(mutual) = mutual {
        mutual.secure(&mut peer, None);
    }
    peer
}

/// Connections are pooled by this: one made under an epoch never carries another epoch's request.
fn group(cell: &CellId, epoch: Epoch, by: Use) -> u64 {
    let mut hasher = DefaultHasher::new();
    (cell, epoch, by).hash(&mut hasher);
    hasher.finish()
}
