//! Reads that need no identity and that any site can answer (I10's exception), from request to answer.
//!
//! They carry nothing of their sender to the site: no user, no token, no cookie. The nearest site is
//! asked, another one at once when it fails, and the cache stands in front where answers may be kept.

mod near;
mod probe;

use std::sync::Arc;

use axum::Router;
use http::{HeaderName, Method, header as names};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use runtime::Problem;
use tokio_util::sync::CancellationToken;
use topology::spec::{Keep, Public};
use topology::wire::header;

use crate::cache::{self, Cache, Status, cache_status};
use crate::metrics::EdgeMetrics;
use crate::outgoing;
pub(crate) use near::Near;
use near::Try;

/// Sites tried for one read: one in the nearest region, and one each in two others.
const TRIES_MAX: usize = 3;

/// What the router knows in order to answer such reads.
pub(crate) struct PublicReads {
    pub(crate) public: Public,
    pub(crate) near: Arc<Near>,
    pub(crate) cache: Cache,
    pub(crate) metrics: Arc<EdgeMetrics>,
}

/// One such read on its way.
pub(crate) struct Read {
    keep: Keep,
    /// The sites that were asked; the last one may still be answering.
    tried: Vec<Try>,
    /// There was no further one.
    all_tried: bool,
}

/// What goes on beside the requests.
pub(crate) struct Beside {
    pub(crate) near: Arc<Near>,
    pub(crate) cache: Cache,
    /// None if nothing is public.
    pub(crate) probe_path: Option<String>,
}

impl Beside {
    /// For the admin port.
    pub(crate) fn routes(&self) -> Router {
        near::routes(Arc::clone(&self.near)).merge(cache::routes(self.cache))
    }

    pub(crate) async fn probe(self, stop: CancellationToken) -> anyhow::Result<()> {
        if let Some(path) = self.probe_path {
            return probe::probe(self.near, path, stop).await;
        }
        stop.cancelled().await;
        Ok(())
    }
}

impl PublicReads {
    /// Returns a read that anybody may do; none where the request has to say whose it is.
    pub(crate) fn admit(&self, request: &RequestHeader) -> Option<Read> {
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        let has_body = request.headers.contains_key(names::TRANSFER_ENCODING)
            || request.headers.get(names::CONTENT_LENGTH).is_some_and(|length| length != "0");
        let keep = self.public.reads(request.uri.path()).filter(|_| is_read && !has_body)?;
        Some(Read { keep, tried: Vec::new(), all_tried: false })
    }

    pub(crate) fn enable_cache(&self, session: &mut Session, read: &Read) {
        match read.keep {
            Keep::Cached => self.cache.enable(session),
            Keep::Never => {}
        }
    }

    /// Returns the site to ask next.
    pub(crate) fn place(&self, read: &mut Read) -> Result<Box<HttpPeer>> {
        let tried: Vec<_> = read.tried.iter().map(|earlier| earlier.site().clone()).collect();
        let Some((next, peer)) = self.near.choose(&tried) else {
            read.all_tried = true;
            return Error::e_explain(ErrorType::ConnectError, "there is no site to ask")
                .map_err(Error::into_up);
        };
        read.tried.push(next);
        Ok(peer)
    }

    /// Counts what the cache did for a read.
    pub(crate) fn count(&self, session: &Session, read: &Read) {
        if read.keep == Keep::Cached
            && let Some(status) = Status::of(&session.cache)
        {
            self.metrics.cached(status);
        }
    }
}

impl Read {
    /// Looks at a site's answer; an error where another site is to be asked instead.
    pub(crate) fn judge(&mut self, response: &mut ResponseHeader) -> Result<()> {
        for name in ours(&response.headers) {
            response.remove_header(&name);
        }
        if is_failure(response) {
            self.failed();
            if self.may_go_on() {
                return Error::e_explain(
                    ErrorType::HTTPStatus(response.status.as_u16()),
                    "refused",
                )
                .map_err(Error::into_up);
            }
        } else if let Some(last) = self.tried.last_mut() {
            last.answered();
        }
        Ok(())
    }

    /// Says on an answer where it came from.
    pub(crate) fn sign(&self, session: &Session, response: &mut ResponseHeader) -> Result<()> {
        if self.keep == Keep::Cached
            && let Some(status) = Status::of(&session.cache)
        {
            response.insert_header("cache-status", cache_status(status))?;
        }
        if let Some(last) = self.tried.last() {
            response.insert_header(header::CELL, last.site().cell.as_str())?;
            response.insert_header(header::REGION, last.site().region.as_str())?;
        }
        Ok(())
    }

    /// Notes that the last try failed, and says whether another site is asked.
    pub(crate) fn lost(&mut self, session: &Session, error: &mut Error) {
        let is_over =
            *error.esource() == ErrorSource::Downstream || session.response_written().is_some();
        if !is_over {
            self.failed();
        }
        error.set_retry(!is_over && self.may_go_on());
    }

    /// Returns whether a stale answer is served: while it is refreshed, or when every try has failed.
    pub(crate) fn takes_stale(&self, error: Option<&Error>) -> bool {
        error.is_none_or(|_| !self.may_go_on())
    }

    fn failed(&mut self) {
        if let Some(last) = self.tried.last_mut() {
            last.failed();
        }
    }

    fn may_go_on(&self) -> bool {
        !self.all_tried && self.tried.len() < TRIES_MAX
    }
}

/// What a read is told that no site has answered.
pub(crate) fn no_site() -> Problem {
    Problem::new(503, "no-site", "No site answers this read")
        .detail("several were tried; try again")
        .header("retry-after", "1")
}

fn is_failure(response: &ResponseHeader) -> bool {
    response.status.is_server_error() || response.status == http::StatusCode::MISDIRECTED_REQUEST
}

/// Removes from a request what says anything about who asks.
pub(crate) fn prepare(request: &mut RequestHeader) -> Result<()> {
    outgoing::rewrite(request, |headers| {
        outgoing::strip(headers, false);
        for name in [names::PROXY_AUTHORIZATION, names::COOKIE] {
            headers.remove(name);
        }
    })
}

/// The names that only routers and sites may use.
fn ours(headers: &http::HeaderMap) -> Vec<HeaderName> {
    headers.keys().filter(|name| name.as_str().starts_with(header::PREFIX)).cloned().collect()
}
