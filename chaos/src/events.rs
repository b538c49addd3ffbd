//! Follows what the control plane says, as it says it: the second stream of evidence.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use runtime::sse;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use topology::Epoch;
use tracing::debug;

use crate::control_plane::ControlPlane;
use crate::history::{Clock, Event};
use crate::recorder::Recorder;

const CONNECT: Duration = Duration::from_secs(1);
/// The stream has a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// Between two attempts: short, because these are the moments that matter.
const PAUSE: Duration = Duration::from_millis(200);

/// What a control plane sends as an event's data.
#[derive(Deserialize)]
struct Told {
    at_unix_ms: u64,
    cell: String,
    region: Option<String>,
    epoch: u64,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    evidence: String,
}

/// Writes events into the record until stopped. When a control plane goes, the next one is asked
/// for what came after the last one seen.
pub(crate) async fn follow(
    control_plane: ControlPlane,
    clock: Clock,
    recorder: Recorder,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut last_id = None;
    let attempts = async {
        for address in control_plane.addresses().iter().cycle() {
            let headers = control_plane.headers();
            if let Err(err) = listen(*address, headers, &mut last_id, &clock, &recorder).await {
                debug!(peer = %address, error = format!("{err:#}"), "event stream ended");
            }
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = attempts => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn listen(
    address: SocketAddr,
    headers: &HeaderMap,
    last_id: &mut Option<String>,
    clock: &Clock,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stream = timeout(CONNECT, TcpStream::connect(address))
        .await
        .context("connect: no answer")?
        .context("connect")?;
    let (sender, connection) =
        handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.context("speak HTTP")?;
    let driven = async {
        if let Err(err) = connection.await {
            debug!(peer = %address, error = %err, "connection of the event stream ended");
        }
        // What it has read so far is still to be heard.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        heard = hear(sender, address, headers, last_id, clock, recorder) => heard,
        () = driven => Ok(()),
    }
}

async fn hear(
    mut sender: SendRequest<Empty<Bytes>>,
    address: SocketAddr,
    headers: &HeaderMap,
    last_id: &mut Option<String>,
    clock: &Clock,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = "/v1/events".parse().context("name the event stream")?;
    *request.headers_mut() = headers.clone();
    let host = HeaderValue::try_from(address.to_string()).context("name the host")?;
    request.headers_mut().insert(header::HOST, host);
    let accept = HeaderValue::from_static("text/event-stream");
    request.headers_mut().insert(header::ACCEPT, accept);
    if let Some(id) = last_id.as_deref().and_then(|id| HeaderValue::try_from(id).ok()) {
        request.headers_mut().insert("last-event-id", id);
    }
    let answer = timeout(CONNECT, sender.send_request(request))
        .await
        .context("ask for events: no answer")?
        .context("ask for events")?;
    ensure!(answer.status().is_success(), "ask for events: {}", answer.status());
    let mut body: Incoming = answer.into_body();
    let mut parser = sse::Parser::default();
    while let Some(frame) = timeout(SILENCE, body.frame()).await.context("hear: silence")? {
        let Ok(chunk) = frame.context("hear")?.into_data() else { continue };
        for message in parser.push(&chunk) {
            if let Some(event) = event(&message, clock) {
                recorder.event(event);
            }
            *last_id = message.id.or_else(|| last_id.take());
        }
    }
    Ok(())
}

/// Returns the event, unless it is from before the run or not understood.
fn event(message: &sse::Message, clock: &Clock) -> Option<Event> {
    let told: Told = serde_json::from_str(&message.data).ok()?;
    Some(Event {
        at: clock.at_unix_ms(told.at_unix_ms)?,
        name: message.event.clone(),
        cell: told.cell.parse().ok()?,
        region: told.region.and_then(|region| region.parse().ok()),
        epoch: Epoch(told.epoch),
        reason: told.reason,
        evidence: told.evidence,
    })
}
