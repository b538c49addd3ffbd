//! Passes admitted requests on to the site's other services.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Router, http};
use bytes::Bytes;
use runtime::http_client::{Answer, CallError};
use runtime::json_body::BODY_MAX;
use runtime::{HttpClient, Problem};
use tokio::time::Instant;
use topology::wire::header;
use tracing::warn;

use super::guard::stale;
use super::{Barrier, Permit, refusal};
use crate::database::age::Age;

/// Longer than a strong commit may take, so that the ticket service is the one that says so.
const TICKET_TIME: Duration = Duration::from_secs(9);
/// Reading and computing only.
const READ_TIME: Duration = Duration::from_secs(2);
/// How long a service that is being restarted is tried again; nothing has been sent until then.
const CONNECT_TIME: Duration = Duration::from_secs(2);
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// What a service needs of the client's request, and the client of its answer.
const TO_SERVICE: [&str; 9] = [
    header::USER,
    header::ROLE,
    header::SLOT,
    header::CELL,
    header::EPOCH,
    header::IDEMPOTENCY_KEY,
    "content-type",
    "if-match",
    "accept-language",
];
const TO_CLIENT: [&str; 8] = [
    header::IDEMPOTENCY_REPLAYED,
    header::OUTCOME,
    header::REFUSED,
    header::STATE,
    "content-type",
    "etag",
    "location",
    "retry-after",
];

/// Where the site's other services are.
#[derive(Clone)]
pub struct PassOn {
    pub http: HttpClient,
    pub barrier: Barrier,
    pub ticket: SocketAddr,
    pub knowledge: SocketAddr,
    pub nlp: SocketAddr,
}

#[derive(Clone)]
pub(super) struct Target {
    http: HttpClient,
    barrier: Barrier,
    address: SocketAddr,
    time: Duration,
    /// Whether what changes something there is a strong write.
    strong: bool,
}

impl PassOn {
    /// Returns the routes of the services behind.
    pub fn routes(&self) -> Router {
        let ticket = self.target(self.ticket, TICKET_TIME, true);
        let knowledge = self.target(self.knowledge, READ_TIME, false);
        let nlp = self.target(self.nlp, READ_TIME, false);
        Router::new()
            .route("/v1/tickets", any(pass).with_state(ticket.clone()))
            .route("/v1/tickets/{*rest}", any(pass).with_state(ticket))
            .route("/v1/kb/{*rest}", any(pass).with_state(knowledge))
            .route("/v1/nlu/{*rest}", any(pass).with_state(nlp))
    }

    /// Returns the knowledge base for reads that carry nobody's identity.
    pub(super) fn knowledge_read(&self) -> Target {
        self.target(self.knowledge, READ_TIME, false)
    }

    fn target(&self, address: SocketAddr, time: Duration, strong: bool) -> Target {
        let (http, barrier) = (self.http.clone(), self.barrier.clone());
        Target { http, barrier, address, time, strong }
    }
}

async fn pass(
    State(target): State<Target>,
    mut permit: Permit,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let is_read = head.method == Method::GET;
    let needs_voters = !is_read || !permit.shows_durable() && wants_no_old_answer(&head.headers);
    if target.strong && needs_voters {
        permit = target.barrier.strong(permit).await?;
    }
    let body = to_bytes(body, BODY_MAX).await.map_err(|_too_long| {
        Problem::new(413, "payload-too-large", "The request's body is too large")
            .detail(format!("at most {BODY_MAX} bytes are read"))
    })?;
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let url = format!("http://{}{path}", target.address);
    let headers = only(&head.headers, &TO_SERVICE);
    match target.ask(&head.method, &url, &headers, &body).await {
        // What is shown may not be durable, and nobody can say since when.
        Ok(answer) if target.strong && !permit.shows_durable() => {
            Ok(stale(answered(answer), Age::Unknown))
        }
        Ok(answer) => Ok(answered(answer)),
        Err(err @ (CallError::Connect { .. } | CallError::Address { .. })) => Err(gone(err)),
        // It may have been worked on.
        Err(err) if target.strong && !is_read => {
            warn!(error = chain(err), "service did not answer");
            Err(refusal::outcome_unknown())
        }
        Err(err) => Err(gone(err)),
    }
}

/// Whether a client would rather have no answer than one that may be old: RFC 9111, section 5.2.1.4.
fn wants_no_old_answer(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(http::header::CACHE_CONTROL).iter();
    let mut directives =
        lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

impl Target {
    /// Reads without saying for whom.
    pub(super) async fn read(&self, path: &str) -> Result<Answer, Problem> {
        let url = format!("http://{}{path}", self.address);
        self.ask(&Method::GET, &url, &HeaderMap::new(), &Bytes::new()).await.map_err(gone)
    }

    /// Asks once; before anything is sent, tries for a while to connect.
    async fn ask(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, CallError> {
        let give_up = Instant::now() + CONNECT_TIME;
        loop {
            let call =
                self.http.call(method.clone(), url, headers.clone(), body.clone(), self.time);
            match call.await {
                Err(CallError::Connect { .. }) if Instant::now() < give_up => {
                    tokio::time::sleep(CONNECT_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn answered(answer: Answer) -> Response {
    let headers = only(&answer.headers, &TO_CLIENT);
    (answer.status, headers, Body::from(answer.body)).into_response()
}

fn gone(err: CallError) -> Problem {
    warn!(error = chain(err), "service not reachable");
    Problem::new(503, "dependency-unavailable", "A service behind this one does not answer")
        .header("retry-after", "1")
}

fn only(headers: &HeaderMap, names: &[&'static str]) -> HeaderMap {
    names
        .iter()
        .filter_map(|name| Some((HeaderName::from_static(name), headers.get(*name)?.clone())))
        .collect()
}

fn chain(err: CallError) -> String {
    format!("{:#}", anyhow::Error::from(err))
}
