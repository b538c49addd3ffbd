//! `GET /_bulkhead/route?user=…` on the admin port: where a user's requests go now, and why.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::get;
use runtime::Problem;
use serde::{Deserialize, Serialize};

use crate::decide::route;
use crate::table::Table;

#[derive(Deserialize)]
struct Asked {
    user: String,
}

#[derive(Serialize)]
struct Explained {
    user: String,
    slot: u16,
    /// Whether the user lives in another cell than their slot's.
    r#override: bool,
    cell: String,
    epoch: u64,
    phase: &'static str,
    site: Option<String>,
    gateway: Option<String>,
    stale_reads: Vec<String>,
    version: u64,
    stale: bool,
    /// Since when etcd has not confirmed the table; 0 while it does.
    age_ms: u64,
    /// The generation whose placement and addresses are in use, while a person has it so.
    rolled_back_to: Option<u64>,
    /// The last snapshot that was not put to use, and why.
    refused: Option<String>,
    why: String,
    /// Whether anybody with the development issuer's key is any user.
    development_issuer: bool,
}

#[derive(Clone)]
struct Known {
    table: Arc<Table>,
    is_development: bool,
}

pub(crate) fn routes(table: Arc<Table>, is_development: bool) -> Router {
    let known = Known { table, is_development };
    Router::new().route("/_bulkhead/route", get(explain)).with_state(known)
}

async fn explain(State(known): State<Known>, Query(asked): Query<Asked>) -> Response {
    let Known { table, is_development } = known;
    let Some(applied) = table.current() else {
        return Problem::new(503, "no-table", "This router has no routing table yet")
            .into_response();
    };
    let found = route::explain(&applied.snapshot, &asked.user);
    let age = applied.stale_since.map_or(0, |since| since.elapsed().as_millis());
    let (site, gateway) = found.site.unzip();
    Json(Explained {
        slot: found.slot.number(),
        r#override: found.is_override,
        cell: found.cell.to_owned(),
        epoch: found.epoch,
        phase: found.phase,
        site,
        gateway,
        stale_reads: found.stale_reads,
        version: applied.snapshot.version.0,
        stale: applied.stale_since.is_some(),
        age_ms: u64::try_from(age).unwrap_or(u64::MAX),
        rolled_back_to: applied.rolled_back_to.map(|version| version.0),
        refused: table.last_refused().map(|why| (*why).clone()),
        why: found.why,
        development_issuer: is_development,
        user: asked.user,
    })
    .into_response()
}
