//! What users may ask of the session.

mod conversations;
mod events;
mod messages;
mod socket;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use runtime::Problem;
use topology::Slot;
use topology::public_id::{Kind, PublicId};
use uuid::Uuid;

use super::Session;
use crate::gateway::refusal::not_found;

pub(super) fn routes(session: Arc<Session>) -> Router {
    Router::new()
        .route("/v1/conversations", post(conversations::create).get(conversations::list))
        .route("/v1/conversations/{id}", get(conversations::show))
        .route("/v1/conversations/{id}/messages", post(messages::send).get(messages::list))
        .route("/v1/conversations/{id}/events", get(events::stream))
        .route("/v1/conversations/{id}/socket", get(socket::open))
        .with_state(session)
}

/// Reads a conversation's public id. One of another slot is not what was asked about.
fn conversation_id(text: &str, slot: Slot) -> Result<Uuid, Problem> {
    let id: PublicId = text.parse().map_err(|_not| not_found())?;
    if id.kind == Kind::Conversation && id.slot == slot {
        Ok(Uuid::from_u128(id.id))
    } else {
        Err(not_found())
    }
}
