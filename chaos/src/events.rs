//! Follows what the control plane says, as it says it: the second stream of evidence.

use std::time::Duration;

use anyhow::Context as _;
use runtime::sse::{self, EventStream};
use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use topology::Epoch;
use tracing::debug;

use crate::control_plane::ControlPlane;
use crate::history::{Clock, Event};
use crate::recorder::Recorder;

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
        for at in control_plane.urls().iter().cycle() {
            let heard = listen(&control_plane, at, &mut last_id, &clock, &recorder);
            if let Err(err) = heard.await {
                debug!(peer = at, error = format!("{err:#}"), "event stream ended");
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
    control_plane: &ControlPlane,
    at: &str,
    last_id: &mut Option<String>,
    clock: &Clock,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let (http, headers) = (control_plane.http(), control_plane.headers().clone());
    let url = format!("{at}/v1/events");
    let stream = EventStream::open(http, &url, headers, last_id.as_deref()).await;
    let mut stream = stream.context("ask for events")?;
    while let Some(message) = stream.next().await.context("hear")? {
        if let Some(event) = event(&message, clock) {
            recorder.event(event);
        }
        *last_id = message.id.or_else(|| last_id.take());
    }
    Ok(())
}

/// Returns the event, unless it is from before the run, not about a cell or not understood.
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
