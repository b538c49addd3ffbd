//! `/v1/conversations/{id}/socket`: a conversation's stream as a WebSocket.
//!
//! The stream goes one way: messages are sent by POST, where they have an idempotency key and an
//! answer. A client that lost its socket comes back with `?after_seq=`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::response::Response;
use runtime::Problem;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::debug;

use super::stream::{From, PING, Reader, Told};
use crate::database::Failure;
use crate::gateway::query::Query;
use crate::gateway::{Actor, Permit};
use crate::session::Session;

/// What a client may say: pings, and the end.
const FRAME_MAX: usize = 1024;
/// A client that does not take what it asked for is as good as gone.
const TAKE_MAX: Duration = Duration::from_secs(10);
/// A round trip to a phone.
const HEAR_MAX: Duration = Duration::from_secs(1);

pub(super) async fn open(
    State(session): State<Arc<Session>>,
    actor: Actor,
    permit: Permit,
    Path(id): Path<String>,
    Query(from): Query<From>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|refused| not_a_socket(&refused))?;
    let after = from.after_seq.unwrap_or(0);
    // Before the upgrade: what is wrong is told by a status and a problem.
    let reader = Reader::open(session, actor, permit, &id, after).await?;
    let upgrade = upgrade.max_message_size(FRAME_MAX).max_frame_size(FRAME_MAX);
    Ok(upgrade.on_upgrade(move |socket| tell(socket, reader)))
}

/// Tells until one of both sides has ended.
async fn tell(mut socket: WebSocket, mut reader: Reader) {
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let frames = tokio::select! {
            told = reader.next() => match told {
                Some(told) => frames(&told),
                None => vec![close(close_code::RESTART, "come back")],
            },
            _ = pings.tick() => vec![Frame::Ping(axum::body::Bytes::new())],
            received = socket.recv() => match received {
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => continue,
                Some(Ok(Frame::Text(_) | Frame::Binary(_))) => {
                    vec![close(close_code::UNSUPPORTED, "send messages by POST")]
                }
                // Answered by the library, or lost: over in any case.
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
            },
        };
        for frame in frames {
            let is_last = matches!(frame, Frame::Close(_));
            let sent = timeout(TAKE_MAX, socket.send(frame)).await;
            if !matches!(sent, Ok(Ok(()))) {
                debug!("socket ended by its client");
                return;
            }
            if is_last {
                return farewell(socket).await;
            }
        }
    }
}

/// Waits until the client has heard the end: closing at once could take it away from it.
async fn farewell(mut socket: WebSocket) {
    let heard = async { while let Some(Ok(_)) = socket.recv().await {} };
    if timeout(HEAR_MAX, heard).await.is_err() {
        debug!("socket's end not confirmed");
    }
}

fn frames(told: &Told) -> Vec<Frame> {
    let text = |value: serde_json::Value| Frame::Text(value.to_string().into());
    match told {
        Told::Message(message) => {
            let seq = message.seq;
            vec![text(json!({ "type": "message.created", "seq": seq, "message": message }))]
        }
        Told::Ticket(id) => vec![text(json!({ "type": "ticket.created", "ticket_id": id }))],
        Told::Moved(after) => vec![
            text(json!({ "type": "moved", "after_seq": after })),
            close(close_code::RESTART, "moved"),
        ],
    }
}

fn close(code: u16, reason: &'static str) -> Frame {
    Frame::Close(Some(CloseFrame { code, reason: reason.into() }))
}

fn not_a_socket(refused: &WebSocketUpgradeRejection) -> Problem {
    Problem::new(426, "upgrade-required", "This is a WebSocket")
        .detail(refused.body_text())
        .header("upgrade", "websocket")
}
