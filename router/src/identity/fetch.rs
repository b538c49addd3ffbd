//! Fetches a small document over HTTP, with bounds on its size and on the time it takes.
//!
//! Pingora's own connector is used, so that there is one way of speaking TLS in this process. No
//! redirect is followed: keys come from where the configuration says.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::header::{ACCEPT, CONTENT_LENGTH, HOST};
use pingora_core::connectors::http::Connector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tokio::time::timeout;
use topology::spec::edge::identity::KeyUrl;

/// From the name's lookup to the last byte.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Returns what is at `url`, at most `size_max` bytes of it.
pub(crate) async fn get(url: &KeyUrl, size_max: usize) -> anyhow::Result<Vec<u8>> {
    timeout(TIME_MAX, ask(url, size_max)).await.context("wait 5 seconds for the answer")?
}

async fn ask(url: &KeyUrl, size_max: usize) -> anyhow::Result<Vec<u8>> {
    let addresses = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
    let address = addresses
        .context("look the host up")?
        .next()
        .context("look the host up: it has no address")?;
    let peer = HttpPeer::new(address, url.is_tls, url.host.clone());
    // A connector of its own each time: nothing is pooled that is used every few minutes.
    let connector = Connector::new(None);
    let (mut session, _) = connector.get_http_session(&peer).await.context("connect")?;
    let mut head = RequestHeader::build("GET", url.path.as_bytes(), Some(2)).context("ask")?;
    let host = if [80, 443].contains(&url.port) {
        url.host.clone()
    } else {
        format!("{}:{}", url.host, url.port)
    };
    head.insert_header(HOST, host).context("ask")?;
    head.insert_header(ACCEPT, "application/json").context("ask")?;
    session.write_request_header(Box::new(head)).await.context("ask")?;
    session.finish_request_body().await.context("ask")?;
    session.read_response_header().await.context("read the answer")?;
    let answer = session.response_header().context("read the answer: there is none")?;
    ensure!(answer.status == 200, "read the answer: its status is {}", answer.status.as_u16());
    let announced = answer.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| length > size_max)
    {
        bail!("read the answer: it has more than {size_max} bytes");
    }
    let mut body = Vec::new();
    while let Some(part) = session.read_response_body().await.context("read the answer")? {
        ensure!(
            body.len() + part.len() <= size_max,
            "read the answer: it has more than {size_max} bytes"
        );
        body.extend_from_slice(&part);
    }
    session.shutdown().await;
    Ok(body)
}

#[cfg(test)]
mod tests;
