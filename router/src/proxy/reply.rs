//! What the client gets in the end: a site's answer, signed, or the router's own; and what is noted
//! of it.

use std::mem;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use runtime::Problem;
use tracing::debug;

use super::Proxy;
use crate::forwarding::Forwarding;
use crate::names::{CELL, EPOCH, REGION, ROUTE_VERSION};
use crate::{answer, integrity, pace, public};

/// How many headers are added to an answer: four here, and what Pingora says of the connection.
const ADDED: usize = 8;

/// Says on a site's answer where it came from, and notes whether it is a stream.
pub(super) fn sign(response: &mut ResponseHeader, ctx: &mut Forwarding) {
    let asked = ctx.asker.as_ref().and_then(|asker| asker.stream);
    ctx.answers(asked.filter(|kind| kind.is_begun_by(response.status, &response.headers)));
    let Some(attempt) = &ctx.attempt else { return };
    let site = &attempt.site.headers;
    // As it is with a request: the second map of names, as they were written, is not kept.
    let nothing = Response::new(()).into_parts().0;
    let mut parts = Parts::from(mem::replace(response, nothing.into()));
    let headers = &mut parts.headers;
    headers.reserve(ADDED);
    headers.insert(CELL, site.cell.clone());
    headers.insert(REGION, site.region.clone());
    // The site's word counts: it is the one that acknowledges.
    headers.entry(EPOCH).or_insert_with(|| site.epoch.clone());
    headers.insert(ROUTE_VERSION, attempt.version.0.into());
    *response = parts.into();
}

/// Follows a stream past, and adds the router's last words to one that is cut.
pub(super) fn pass_on(body: &mut Option<Bytes>, end_of_stream: bool, ctx: &mut Forwarding) {
    if let Some(carried) = &mut ctx.carried {
        carried.saw(body.as_deref().unwrap_or_default());
        // An upgraded connection ends without an error, whatever the reason.
        if end_of_stream && let Some(words) = carried.last_words_of_socket() {
            *body = Some([body.as_deref().unwrap_or_default(), &words].concat().into());
        }
    }
}

impl Proxy {
    /// Gives the router's own answer, where one can still be given; returns its status, or 0.
    pub(super) async fn give_up(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Forwarding,
    ) -> u16 {
        if let Err(err) = answer::end_stream(session, ctx).await {
            debug!(parent: &ctx.span, error = %err, "last words not delivered");
        }
        let no_site = || ctx.read.is_some().then(public::no_site);
        let problem = ctx
            .problem
            .take()
            .or_else(|| unexpected(session, error).map(|other| no_site().unwrap_or(other)));
        let Some(problem) = problem.filter(|_| session.response_written().is_none()) else {
            return 0;
        };
        // Pingora closes the connection after a failure, and the answer has to say so: one that seemed
        // usable would be reset under the client's next request on it, whoever's that is.
        session.set_keepalive(None);
        if let Err(err) = answer::problem(session, ctx, &self.holder.table, &problem).await {
            debug!(parent: &ctx.span, error = %err, "answer not delivered");
        }
        problem.status
    }

    /// Counts a request that is over, and writes it down.
    pub(super) fn note(&self, session: &Session, error: Option<&Error>, ctx: &Forwarding) {
        let status = session.response_written().map(|response| response.status.as_u16());
        let table = self.holder.table.current();
        let cell = ctx.asker.as_ref().zip(table.as_ref()).and_then(|(asker, applied)| {
            let (target, _) = applied.find(asker.whose())?;
            Some(target.cell.as_str())
        });
        let elapsed = ctx.waited();
        if let Some(status) = status {
            ctx.span.record("http.response.status_code", status);
            let method = &session.req_header().method;
            let seconds = ctx.answered_after().as_secs_f64();
            self.holder.metrics.request(method, status, cell.unwrap_or("none"), seconds);
        }
        if let Some(read) = &ctx.read {
            self.public.count(session, read);
        }
        self.access_log.note(session, ctx, status, elapsed);
        if let Some(error) = error {
            debug!(parent: &ctx.span, %error, ?status, "request failed");
        }
    }
}

/// Returns what to say about an error that no hook has explained; nothing where the client is gone.
fn unexpected(session: &Session, error: &Error) -> Option<Problem> {
    let gone = [ErrorType::ReadError, ErrorType::WriteError, ErrorType::ConnectionClosed];
    if let Some(what) = pace::corrected(session) {
        return Some(integrity::corrected(what));
    }
    match error.esource() {
        ErrorSource::Downstream if pace::is_late(error) => Some(answer::too_slow()),
        ErrorSource::Downstream if gone.contains(error.etype()) => None,
        ErrorSource::Downstream if *error.etype() == ErrorType::ReadTimedout => {
            Some(answer::too_slow())
        }
        ErrorSource::Downstream => {
            Some(Problem::new(400, "malformed-request", "The request is not valid HTTP"))
        }
        ErrorSource::Upstream => {
            Some(Problem::new(502, "bad-answer", "The cell's answer made no sense"))
        }
        ErrorSource::Internal | ErrorSource::Unset => {
            Some(Problem::new(500, "internal-error", "The router failed"))
        }
    }
}
