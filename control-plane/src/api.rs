//! `/v1`: what operators and programs ask. Every control plane answers every call from what it
//! knows itself.

pub mod auth;
mod cells;
mod error;
mod events;
mod platform;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use topology::Spec;

use crate::decide::State;
use crate::event_log::EventLog;
use crate::tasks::switch::Order;

use auth::Token;

/// What every call answers from.
#[derive(Clone)]
pub struct Api {
    pub spec: Arc<Spec>,
    pub state: watch::Receiver<Arc<State>>,
    pub orders: mpsc::Sender<Order>,
    pub log: EventLog,
    /// Ends streams, which would go on for ever.
    pub stop: CancellationToken,
}

/// Returns the routes, behind the token.
pub fn routes(api: Api, token: Token) -> Router {
    Router::new()
        .route("/v1/cells", get(cells::list))
        .route("/v1/cells/{id}", get(cells::one))
        .route("/v1/cells/{id}/switchover", post(cells::switchover))
        .route("/v1/regions", get(platform::regions))
        .route("/v1/sites", get(platform::sites))
        .route("/v1/routers", get(platform::routers))
        .route("/v1/snapshot", get(platform::snapshot))
        .route("/v1/events", get(events::stream))
        .fallback(|| async { error::no_such_route() })
        .method_not_allowed_fallback(|| async { error::method_not_allowed() })
        .layer(from_fn_with_state(token, auth::require))
        .with_state(api)
}
