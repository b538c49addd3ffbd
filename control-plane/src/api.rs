//! `/v1`: what operators and programs ask. Every control plane answers every call from what it
//! knows itself.

mod alerts;
mod audit;
pub mod auth;
mod cells;
mod error;
mod events;
mod lost_writes;
mod moves;
mod platform;
pub(crate) mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use topology::{RegionId, Spec};

use crate::agents::Agents;
use crate::decide::State;
use crate::event_log::EventLog;
use crate::store::etcd::Store;
use crate::tasks::control::Order;
use crate::tasks::deeds::Deed;

use crate::callers::Callers;
use auth::Door;

/// What every call answers from.
#[derive(Clone)]
pub struct Api {
    pub spec: Arc<Spec>,
    /// Where this control plane is.
    pub vantage: RegionId,
    pub state: watch::Receiver<Arc<State>>,
    pub store: Store,
    pub agents: Agents,
    pub orders: mpsc::Sender<Order>,
    pub deeds: mpsc::Sender<Deed>,
    pub log: EventLog,
    /// Ends streams, which would go on for ever.
    pub stop: CancellationToken,
}

/// Returns the routes, for those who may call.
pub fn routes(api: Api, callers: Callers) -> Router {
    Router::new()
        .route("/v1/cells", get(cells::list))
        .route("/v1/cells/{id}", get(cells::one))
        .route("/v1/cells/{id}/switchover", post(moves::switchover))
        .route("/v1/cells/{id}/failover", post(moves::failover))
        .route("/v1/cells/{id}/lost-writes", get(lost_writes::of_cell))
        .route("/v1/alerts", get(alerts::list))
        .route("/v1/audit", get(audit::list))
        .route("/v1/regions", get(platform::regions))
        .route("/v1/sites", get(platform::sites))
        .route("/v1/routers", get(platform::routers))
        .route("/v1/snapshot", get(platform::snapshot))
        .route("/v1/events", get(events::stream))
        .fallback(|| async { error::no_such_route() })
        .method_not_allowed_fallback(|| async { error::method_not_allowed() })
        .layer(from_fn_with_state(Door { callers, api: api.clone() }, auth::require))
        .with_state(api)
}
