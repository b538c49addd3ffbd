//! The admin endpoint of every process: `/livez`, `/readyz`, `/metrics`, `/tasks`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use prometheus::{Encoder as _, TextEncoder};
use serde::Serialize;
use tokio::net::TcpListener;

/// What a process knows of its own state: conditions for being ready, and the last result of each
/// reconciler.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    /// What must hold before work is sent here, with what is missing.
    conditions: BTreeMap<String, Result<(), String>>,
    tasks: BTreeMap<String, TaskLine>,
}

#[derive(Clone, Serialize)]
struct TaskLine {
    runs: u64,
    failures: u64,
    last_error: Option<String>,
}

impl Board {
    /// Says whether a condition for readiness holds, and if not, why.
    pub fn condition(&self, name: &str, holds: Result<(), String>) {
        self.lines(|lines| lines.conditions.insert(name.to_owned(), holds));
    }

    /// Notes a reconciler's result and returns whether it changed between working and failing.
    pub fn record(&self, task: &str, result: Result<(), String>) -> bool {
        self.lines(|lines| {
            let fresh = TaskLine { runs: 0, failures: 0, last_error: None };
            let line = lines.tasks.entry(task.to_owned()).or_insert(fresh);
            let failed_before = line.last_error.is_some();
            line.runs += 1;
            line.last_error = result.err();
            let fails_now = line.last_error.is_some();
            line.failures += u64::from(fails_now);
            failed_before != fails_now
        })
    }

    /// Returns what is missing for readiness; empty when ready.
    pub fn missing(&self) -> BTreeMap<String, String> {
        self.lines(|lines| {
            lines
                .conditions
                .iter()
                .filter_map(|(name, holds)| Some((name.clone(), holds.clone().err()?)))
                .collect()
        })
    }

    fn tasks(&self) -> BTreeMap<String, TaskLine> {
        self.lines(|lines| lines.tasks.clone())
    }

    /// The lock is held for a few lines without waiting; a panic in them leaves plain values.
    fn lines<T>(&self, look: impl FnOnce(&mut Lines) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Binds an address before anything else happens, with an error that says what to do.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}; is another process using it"))
}

/// Returns the admin routes, to be served as they are or under further ones.
pub fn routes(board: Board) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/tasks", get(|State(board): State<Board>| async move { Json(board.tasks()) }))
        .with_state(board)
}

async fn readyz(State(board): State<Board>) -> Response {
    let missing = board.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": missing.is_empty(), "missing": missing })))
        .into_response()
}

async fn metrics() -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&prometheus::gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(err) => (StatusCode::INTERNAL_SERVER_ERROR, err.to_string()).into_response(),
    }
}

/// Registers `<program>_build_info`, and the series every process has.
pub fn build_info(program: &str, version: &str) -> anyhow::Result<()> {
    let options = prometheus::Opts::new(format!("{program}_build_info"), "1; what is running")
        .const_label("version", version);
    let gauge = prometheus::IntGauge::with_opts(options).context("name the build's metric")?;
    gauge.set(1);
    prometheus::register(Box::new(gauge)).context("register the build's metric")
}
