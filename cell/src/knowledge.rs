//! The service that answers from the knowledge base: which article, how sure, in which language.
//!
//! Indexes the articles of the repository when it starts, in memory, and keeps nothing: every
//! process of a version answers alike. It writes no answers of its own and remembers no
//! conversation; what one was about comes with the request.

pub mod article;
mod follow_up;
mod index;
pub mod library;
pub mod relevance;
mod routes;
pub mod shelf;
mod terms;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Board, Tasks};
use tokio::time::Instant;
use topology::address::Port;
use tracing::info;

use crate::config::Site;
use crate::content;
use library::Library;

/// Requests served at once. One takes about a millisecond, so more can only be waiting.
const IN_FLIGHT: usize = 64;
const GRACE: Duration = Duration::from_secs(3);
const INDEXED: &str = "articles are indexed";

/// Serves until the process is asked to stop.
pub async fn run(site: &Site) -> anyhow::Result<()> {
    let listener = runtime::admin::bind(site.address(Port::Knowledge)).await?;
    let admin = runtime::admin::bind(site.address(Port::KnowledgeAdmin)).await?;
    let board = Board::default();
    board.condition(INDEXED, Err("indexing".to_owned()));
    let mut tasks = Tasks::default();
    let admin_routes = runtime::admin::routes(board.clone());
    tasks.start("serve the admin endpoint", |stop| {
        runtime::server::serve(admin, admin_routes, stop)
    });
    tasks.start("answer from the articles", |stop| async move {
        let library = Arc::new(open().await?);
        board.condition(INDEXED, Ok(()));
        let routes = runtime::overload::bounded(routes::routes(library), IN_FLIGHT);
        runtime::server::serve(listener, runtime::server::observed(routes), stop).await
    });
    tasks.run(runtime::stop_asked(), GRACE).await
}

async fn open() -> anyhow::Result<Library> {
    let started = Instant::now();
    let library = tokio::task::spawn_blocking(|| Library::open(&content::KNOWLEDGE))
        .await
        .context("index the articles")??;
    info!(
        release = library.release(),
        elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "articles indexed"
    );
    Ok(library)
}
