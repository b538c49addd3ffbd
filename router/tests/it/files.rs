//! A site that serves files as a test tells it, as slowly as a distant one if it is told so.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// What a site answers: status, headers, body.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: &'static str,
}

impl Reply {
    pub(crate) fn ok(body: &'static str, cache_control: &str) -> Self {
        let headers = vec![("cache-control", cache_control.to_owned())];
        Self { status: 200, headers, body }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "" }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request as the site saw it, probes left out.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

pub(crate) struct Files {
    pub(crate) address: SocketAddr,
    state: Arc<Shared>,
    /// Of its own, so that its connections end with it.
    runtime: Option<Runtime>,
}

struct Shared {
    distance: Duration,
    /// Answers in order; the last one again and again.
    script: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    /// While it is there, answers wait for it.
    gate: Mutex<Option<Arc<Notify>>>,
}

impl Files {
    /// Starts a site that answers by `script`, and its last line for ever.
    pub(crate) fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::at_distance(Duration::ZERO, script)
    }

    pub(crate) fn at_distance(distance: Duration, script: impl IntoIterator<Item = Reply>) -> Self {
        let script = Mutex::new(script.into_iter().collect());
        let state = Shared { distance, script, asked: Mutex::default(), gate: Mutex::default() };
        let state = Arc::new(state);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            axum::serve(TcpListener::from_std(listener).unwrap(), routes).await.unwrap();
        });
        Self { address, state, runtime: Some(runtime) }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// From now on answers this.
    pub(crate) fn says(&self, reply: Reply) {
        *self.state.script.lock().unwrap() = [reply].into();
    }

    /// Makes answers wait for the returned notification; each lets one go.
    pub(crate) fn wait_for_me(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.state.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    /// The process dies: nobody listens any more, and open connections end.
    pub(crate) async fn dies(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    tokio::time::sleep(state.distance).await;
    let is_probe = request.method() == Method::HEAD;
    if !is_probe {
        let (head, _) = request.into_parts();
        let path = head.uri.to_string();
        state.asked.lock().unwrap().push(Asked { path, headers: head.headers });
        let gate = state.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
    }
    let reply = {
        let mut script = state.script.lock().unwrap();
        match script.len() {
            0 => Reply::status(404),
            1 => script[0].clone(),
            _ if is_probe => script[0].clone(),
            _ => script.pop_front().unwrap(),
        }
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}
