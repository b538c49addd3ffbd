//! Answers probes, deep ones too, and votes, for all sites at once: the address that was asked tells which.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, PoisonError};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use topology::address::Port;
use topology::wire::agent::{VoteReply, VoteRequest};
use topology::wire::canary::CanaryReply;
use topology::wire::vantage::DeepOutcome;

use super::{Fleet, Site};
use crate::world::SYSTEM;

/// Longest request: a vote.
const REQUEST_MAX: usize = 4096;

/// Answers at this port of all sites until the listener fails.
pub(super) async fn serve(fleet: &Fleet, port: Port) -> anyhow::Result<()> {
    let mut sites: BTreeMap<SocketAddr, &Site> = BTreeMap::new();
    for site in &fleet.sites {
        let address = fleet.spec.site_address(&site.id.cell, &site.id.region, port);
        sites.insert(address.context("find a site's address")?, site);
    }
    // One for all addresses: the network belongs to this benchmark alone.
    let all = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.number());
    let listener = TcpListener::bind(all).await.with_context(|| format!("listen at {all}"))?;
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("accept a connection")?;
                let asked = stream.local_addr().ok().and_then(|address| sites.get(&address));
                if let Some(site) = asked {
                    fleet.counts.connections.fetch_add(1, Ordering::Relaxed);
                    connections.push(connection(fleet, site, stream));
                }
            }
            Some(_closed) = connections.next() => {}
        }
    }
}

/// Answers one request after the other, until the other side has had enough.
async fn connection(fleet: &Fleet, site: &Site, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(1024);
    loop {
        buffer.clear();
        let Some(request) = request(&mut stream, &mut buffer).await? else { return Ok(()) };
        if fleet.is_dead(&site.id.region) {
            // As a machine without power: nothing comes back, not even a refusal. Who gives up asking
            // frees this end, too.
            while stream.read_buf(&mut buffer).await? > 0 {
                buffer.clear();
            }
            return Ok(());
        }
        let answer = match request {
            Request::Status => {
                fleet.counts.probed.fetch_add(1, Ordering::Relaxed);
                Arc::clone(&site.status.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Request::Canary => Arc::clone(&CANARY),
            Request::Vote(Some(asked)) => ok(&vote(&asked)),
            Request::Vote(None) | Request::Other => Arc::from(NOT_FOUND),
        };
        // Before its first report a site has nothing to say.
        let answer = if answer.is_empty() { Arc::from(NOT_YET) } else { answer };
        stream.write_all(&answer).await?;
    }
}

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const NOT_YET: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// What a write through gateway, session and database came to: nothing is wrong.
static CANARY: LazyLock<Arc<[u8]>> = LazyLock::new(|| {
    let reply = CanaryReply { outcome: DeepOutcome::Read, reason: None };
    ok(&serde_json::to_vec(&reply).expect("a reply is plain JSON"))
});

enum Request {
    Status,
    Canary,
    Vote(Option<VoteRequest>),
    Other,
}

/// Reads one request; `None` where the connection has been closed or does not speak HTTP.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            let body = end + 4;
            if buffer.len() >= body + length {
                return Ok(Some(if head.starts_with("get /v1/status ") {
                    Request::Status
                } else if head.starts_with("post /v1/canary ") {
                    Request::Canary
                } else if head.starts_with("post /v1/vote ") {
                    Request::Vote(serde_json::from_slice(&buffer[body..body + length]).ok())
                } else {
                    Request::Other
                }));
            }
        }
        if buffer.len() > REQUEST_MAX || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// All standbys are as far as each other, and willing.
fn vote(asked: &VoteRequest) -> Vec<u8> {
    let reply = if asked.dry {
        VoteReply::Willing
    } else {
        VoteReply::Frozen { system: SYSTEM, timeline: 1, begun: Some(0), lsn: 123_456_789 }
    };
    serde_json::to_vec(&reply).expect("a vote is plain JSON")
}

/// An answer as it goes over the wire.
pub(super) fn ok(body: &[u8]) -> Arc<[u8]> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat().into()
}
