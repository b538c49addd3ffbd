//! The service that keeps tickets: strong writes, one state machine, a history of every change.
//!
//! It listens on its site's own address, behind the gateway, which has checked placement, epoch
//! and tenure; it checks again that user and slot agree, and PostgreSQL that every commit is strong.

mod model;
mod routes;
pub mod status;
mod store;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use deadpool_postgres::Pool;
use runtime::{Board, Tasks, admin, server};
use tokio::sync::Semaphore;
use topology::address::Port;

use crate::config::Site;
use crate::database;
use crate::gateway::refusal;

const GRACE: Duration = Duration::from_secs(4);
/// Requests worked on at once: four for each connection, the rest would be answered too late.
const IN_FLIGHT_MAX: usize = 64;

/// Returns the service's routes.
///
/// Without a bound on the whole request: every step has its own, and a commit that was sent must be
/// answered as unknown, not as too late.
pub fn routes(pool: Pool) -> Router {
    let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    server::observed(routes::routes(pool).layer(from_fn_with_state(room, shed)))
}

async fn shed(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match room.try_acquire() {
        Ok(_room) => next.run(request).await,
        Err(_full) => refusal::overload().into_response(),
    }
}

/// Runs until asked to stop.
pub async fn run(site: &Site) -> anyhow::Result<()> {
    let listener = admin::bind(site.address(Port::Ticket)).await?;
    let admin_listener = admin::bind(site.address(Port::TicketAdmin)).await?;
    let pool = database::pool(site, "ticket")?;
    let routes = routes(pool.clone());
    let mut tasks = Tasks::default();
    tasks.start("keep connections warm", |stop| database::keep_warm(pool, stop));
    tasks.start("serve the admin endpoint", |stop| {
        server::serve(admin_listener, admin::routes(Board::default()), stop)
    });
    tasks.start("serve requests", |stop| server::serve(listener, routes, stop));
    tasks.run(runtime::stop_asked(), GRACE).await
}
