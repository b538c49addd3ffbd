//! The router's own answers: problems, and its health.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header as names};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use runtime::Problem;
use topology::wire::header;

use crate::decide::aim::Astray;
use crate::forwarding::Forwarding;
use crate::hold::Unplaced;
use crate::protection;
use crate::stream::{Kind, moved_event};
use crate::table::Table;

/// How long a client that is still sending what was refused is listened to: closing at once would
/// reset the connection and take the answer with it.
const LINGER: Duration = Duration::from_secs(1);

const DRAINING: &str = "draining";

/// Sends a problem. The connection stays usable where the request was read to its end.
pub(crate) async fn problem(
    session: &mut Session,
    request: &mut Forwarding,
    table: &Table,
    problem: &Problem,
) -> Result<()> {
    request.said = Some(problem.code.clone());
    let body = problem.to_json();
    let mut head = ResponseHeader::build(problem.status, Some(12))?;
    head.insert_header(names::CONTENT_TYPE, "application/problem+json")?;
    head.insert_header(names::CONTENT_LENGTH, body.len())?;
    head.insert_header(names::CACHE_CONTROL, "no-store")?;
    for (name, value) in &problem.headers {
        head.insert_header(HeaderName::from_static(name), value.as_str())?;
    }
    place(&mut head, request, table)?;
    send(session, head, body).await
}

/// Sends a whole answer of the router's own.
pub(crate) async fn send(session: &mut Session, head: ResponseHeader, body: Vec<u8>) -> Result<()> {
    let is_read = session.as_mut().is_body_done();
    if !is_read {
        session.set_keepalive(None);
    }
    let has_body = session.req_header().method != http::Method::HEAD;
    session.write_response_header(Box::new(head), !has_body).await?;
    if has_body {
        session.write_response_body(Some(Bytes::from(body)), true).await?;
    }
    if !is_read {
        session.set_total_drain_timeout(Some(LINGER));
        if let Err(err) = session.drain_request_body().await {
            tracing::debug!(error = %err, "client went on sending what was refused");
        }
    }
    Ok(())
}

/// Ends a stream so that its client comes back: one that has begun, if it is between two events; and
/// one that this router takes no more, if a stream of events was asked for, whose clients take any
/// other status for a reason to give up.
pub(crate) async fn end_stream(session: &mut Session, request: &mut Forwarding) -> Result<()> {
    if let Some(words) = request.carried.take().and_then(|carried| carried.last_words()) {
        return session.write_response_body(Some(words), true).await;
    }
    let asked = request.asker.as_ref().and_then(|asker| asker.stream);
    let is_draining = request.problem.as_ref().is_some_and(|problem| problem.code == DRAINING);
    if asked != Some(Kind::Events) || !is_draining {
        return Ok(());
    }
    let mut head = ResponseHeader::build(200, Some(3))?;
    head.insert_header(names::CONTENT_TYPE, "text/event-stream")?;
    head.insert_header(names::CACHE_CONTROL, "no-store")?;
    let words = moved_event();
    head.insert_header(names::CONTENT_LENGTH, words.len())?;
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(words), true).await
}

/// Says where the request would have gone, as far as that is known.
fn place(head: &mut ResponseHeader, request: &Forwarding, table: &Table) -> Result<()> {
    let Some(asker) = &request.asker else { return Ok(()) };
    let Some(applied) = table.current() else { return Ok(()) };
    let Some((target, _)) = applied.find(asker.whose()) else { return Ok(()) };
    head.insert_header(header::CELL, target.cell.as_str())?;
    head.insert_header(header::EPOCH, target.epoch.0)?;
    head.insert_header(header::ROUTE_VERSION, applied.snapshot.version.0)?;
    if let Some(region) = applied.snapshot.cells[target.cell].activation.serving() {
        head.insert_header(header::REGION, region.as_str())?;
    }
    Ok(())
}

/// Answers `/healthz`: whether this router can find anybody's cell.
pub(crate) async fn health(session: &mut Session, table: &Table) -> Result<()> {
    let (status, text) = match table.current() {
        Some(_) => (200, "ok\n"),
        None => (503, "no routing table yet\n"),
    };
    let mut head = ResponseHeader::build(status, Some(3))?;
    head.insert_header(names::CONTENT_TYPE, HeaderValue::from_static("text/plain"))?;
    head.insert_header(names::CONTENT_LENGTH, text.len())?;
    let has_body = session.req_header().method != http::Method::HEAD;
    session.write_response_header(Box::new(head), !has_body).await?;
    if has_body {
        session.write_response_body(Some(Bytes::from_static(text.as_bytes())), true).await?;
    }
    Ok(())
}

/// Returns what an agent is told whose request goes nowhere.
pub(crate) fn astray(why: &Astray) -> Problem {
    let (status, code, title) = match why {
        Astray::NothingNamed | Astray::NotACell => {
            (400, "target-missing", "The request does not say what it is for")
        }
        Astray::UnknownCell(_) => (404, "unknown-cell", "There is no such cell"),
        Astray::Forbidden(_) => (403, "cell-forbidden", "The cell is not this caller's"),
        Astray::Elsewhere { .. } => (404, "other-cell", "The cell has no such thing"),
        Astray::NoTable => (503, "no-table", "This router cannot find cells yet"),
    };
    let problem = Problem::new(status, code, title).detail(why.to_string());
    if status == 503 { problem.header("retry-after", "1") } else { problem }
}

/// Returns what a request is told that could not be sent, or not again.
pub(crate) fn unplaced(why: Unplaced, may_be_done: bool) -> Problem {
    if may_be_done {
        return outcome_unknown();
    }
    let problem = match why {
        Unplaced::Overloaded => return protection::overloaded(),
        Unplaced::Unavailable { wait } => return protection::unavailable(wait),
        Unplaced::Full => Problem::new(503, "hold-full", "Too many requests wait for this cell"),
        // Nobody is there to read it where the client has gone.
        Unplaced::TimedOut | Unplaced::Gone => {
            Problem::new(503, "hold-timeout", "The cell has had no active site for too long")
        }
    };
    problem.detail("nothing was done; try again").header("retry-after", "1")
}

/// Returns what a stream is told that comes on a connection which is about to end.
pub(crate) fn draining() -> Problem {
    Problem::new(503, DRAINING, "This router is about to stop")
        .detail("open the stream again, on a new connection")
        .header("retry-after", "0")
}

pub(crate) fn outcome_unknown() -> Problem {
    Problem::new(503, "outcome-unknown", "The request was sent, and its answer was lost")
        .detail("it may or may not have been carried out")
        .header(header::OUTCOME, "unknown")
}

pub(crate) fn too_slow() -> Problem {
    Problem::new(408, "request-timeout", "The request came too slowly")
}
