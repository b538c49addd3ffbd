//! The service that tells what a text is about: intent and entities, in Chinese and English.
//!
//! Learns when it starts, from sentences in the repository, and keeps nothing: every process of a
//! version answers alike. It reads no conversation and decides nothing; what to do with an intent
//! is the session's business.

mod calibration;
pub mod entity;
mod features;
mod linear;
pub mod model;
mod routes;
pub mod training;
pub mod understanding;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Board, Tasks};
use tokio::time::Instant;
use topology::address::Port;
use tracing::info;

use crate::config::Site;
use crate::content;
use understanding::Understanding;

/// Requests served at once. One takes well under a millisecond, so more can only be waiting.
const IN_FLIGHT: usize = 64;
const GRACE: Duration = Duration::from_secs(3);
const TRAINED: &str = "models are trained";

/// Serves until the process is asked to stop.
pub async fn run(site: &Site) -> anyhow::Result<()> {
    let listener = runtime::admin::bind(site.address(Port::Nlp)).await?;
    let admin = runtime::admin::bind(site.address(Port::NlpAdmin)).await?;
    let board = Board::default();
    board.condition(TRAINED, Err("training".to_owned()));
    let mut tasks = Tasks::default();
    let admin_routes = runtime::admin::routes(board.clone());
    tasks.start("serve the admin endpoint", |stop| {
        runtime::server::serve(admin, admin_routes, stop)
    });
    tasks.start("understand texts", |stop| async move {
        let understanding = Arc::new(learn().await?);
        board.condition(TRAINED, Ok(()));
        let routes = runtime::overload::bounded(routes::routes(understanding), IN_FLIGHT);
        runtime::server::serve(listener, runtime::server::observed(routes), stop).await
    });
    tasks.run(runtime::stop_asked(), GRACE).await
}

async fn learn() -> anyhow::Result<Understanding> {
    let started = Instant::now();
    let understanding = tokio::task::spawn_blocking(|| Understanding::learn(&content::NLU))
        .await
        .context("train the models")??;
    info!(
        model = understanding.version(),
        elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "models trained"
    );
    Ok(understanding)
}
