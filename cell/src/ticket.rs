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
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use runtime::{Board, Tasks, admin, server};
use tokio::sync::Semaphore;
use topology::SiteId;
use topology::address::Port;
use topology::spec::Durability;

use crate::config::Site;
use crate::database::{self, Connections};
use crate::defect::Defect;
use crate::gateway::refusal;

const GRACE: Duration = Duration::from_secs(4);
/// Requests worked on at once for each connection; the rest would be answered too late.
const IN_FLIGHT: usize = 4;

/// Returns the service's routes.
///
/// Without a bound on the whole request: every step has its own, and a commit that was sent must be
/// answered as unknown, not as too late.
pub fn routes(site: SiteId, connections: Connections) -> Router {
    let (shown, room) = (connections.clone(), Room::over(&connections));
    shedding(routes::routes(site, connections, shown), room)
}

fn shedding(routes: Router, room: Room) -> Router {
    let room = Arc::new(room);
    server::observed(routes.layer(from_fn_with_state(room, shed)))
}

struct Room {
    all: Semaphore,
    /// Of these, those that change something: when no standby confirms, the rest can still read.
    strong: Semaphore,
}

impl Room {
    fn over(connections: &Connections) -> Self {
        let all = connections.most() * IN_FLIGHT;
        Self { all: Semaphore::new(all), strong: Semaphore::new(all * 3 / 4) }
    }
}

async fn shed(State(room): State<Arc<Room>>, request: Request, next: Next) -> Response {
    let is_strong = request.method() != Method::GET;
    let (Ok(_room), Ok(_strong)) =
        (room.all.try_acquire(), is_strong.then(|| room.strong.try_acquire()).transpose())
    else {
        return refusal::overload().into_response();
    };
    next.run(request).await
}

/// Runs until asked to stop.
pub async fn run(site: &Site) -> anyhow::Result<()> {
    let listener = admin::bind(site.address(Port::Ticket)).await?;
    let admin_listener = admin::bind(site.address(Port::TicketAdmin)).await?;
    let connections = database::connections(site, "ticket", Durability::Strong)?;
    let shown = if Defect::StrongReadFromStandby.is_on() {
        database::connections_elsewhere(site, "ticket")?
    } else {
        connections.clone()
    };
    let room = Room::over(&connections);
    let routes = shedding(routes::routes(site.id.clone(), connections.clone(), shown), room);
    let mut tasks = Tasks::default();
    tasks.start("keep connections warm", |stop| database::keep_warm(connections, stop));
    tasks.start("serve the admin endpoint", |stop| {
        server::serve(admin_listener, admin::routes(Board::default()), stop)
    });
    tasks.start("serve requests", |stop| server::serve(listener, routes, stop));
    tasks.run(runtime::stop_asked(), GRACE).await
}
