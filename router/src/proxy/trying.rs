//! One try at a site, from finding the site to its reply; and whether there is another.

use http::HeaderValue;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tokio::time::Instant;
use topology::wire::header;
use tracing::debug;

use super::Proxy;
use crate::decide::hold::Evidence;
use crate::decide::retry::{Repeatable, Reply, hint, is_of_this_try_alone, reply};
use crate::decide::stale::Accepts;
use crate::forwarding::{Asker, Forwarding};
use crate::hold::Unplaced;
use crate::metrics::Attempt;
use crate::names::{CELL, EPOCH, ROLE, ROUTE_VERSION, SLOT, STALE_OK, USER};
use crate::outgoing::{self, Client};
use crate::release::Turn;
use crate::stream::{Carried, Kind};
use crate::{answer, limits, pace};

/// The site said that it did nothing, or that nobody knows: the request may move on.
const MOVES_ON: ErrorType = ErrorType::Custom("site refused");

impl Proxy {
    /// Returns the site to send to, once there is one.
    pub(super) async fn place(
        &self,
        session: &mut Session,
        ctx: &mut Forwarding,
    ) -> Result<Box<HttpPeer>> {
        let Some(asker) = &ctx.asker else {
            return Error::e_explain(ErrorType::InternalError, "a request was not admitted");
        };
        if asker.stream.is_some() && self.drain.has_begun() {
            ctx.problem = Some(answer::draining());
            return Error::e_explain(MOVES_ON, "this router takes no more streams");
        }
        // Nothing is read while it waits, however far its body has come.
        pace::head_is_whole(session);
        let mut tried = std::mem::take(&mut ctx.asked);
        let placed = self.holder.place(session, ctx, asker, &mut tried).await;
        ctx.asked = tried;
        match placed {
            Ok(attempt) => {
                let peer = attempt.site.peer(asker.repeatable, asker.stream);
                ctx.span.record("cell.id", attempt.site.cell.as_str());
                ctx.span.record("routing.epoch", attempt.site.epoch.0);
                ctx.attempt = Some(attempt);
                Ok(peer)
            }
            Err(Unplaced::Gone) => {
                Error::e_explain(ErrorType::ConnectionClosed, "the client left while it was held")
                    .map_err(Error::into_down)
            }
            Err(why) => {
                ctx.problem = Some(answer::unplaced(why, ctx.may_be_done));
                Error::e_explain(MOVES_ON, "there is no site to send to")
            }
        }
    }

    /// Notes that there was no connection to the site.
    pub(super) fn not_reached(&self, ctx: &mut Forwarding) {
        if !self.standby_is_no_help(ctx) {
            self.tried(ctx, Attempt::Unreachable);
            ctx.unreachable();
        }
    }

    /// Makes of the client's request what the site gets.
    pub(super) fn send(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Forwarding,
    ) -> Result<()> {
        let (Some(asker), Some(attempt)) = (&ctx.asker, &mut ctx.attempt) else {
            return Error::e_explain(ErrorType::InternalError, "a request has no site");
        };
        attempt.sent = true;
        attempt.body_bytes = 0;
        let is_whole = is_whole(session, asker);
        pace::body(session, is_whole);
        let client = Client::of(session.digest());
        if let Some(target) = &asker.target {
            request.set_uri(target.clone());
        }
        let site = &attempt.site.headers;
        outgoing::rewrite(request, |headers| {
            outgoing::prepare(headers, client, &self.holder.protection.trusted_proxies);
            headers.insert(USER, asker.person.user.clone());
            headers.insert(ROLE, HeaderValue::from_static(asker.person.role.as_str()));
            if let Some(slot) = asker.aim.slot() {
                headers.insert(SLOT, slot.number().into());
            }
            headers.insert(CELL, site.cell.clone());
            headers.insert(EPOCH, site.epoch.clone());
            headers.insert(ROUTE_VERSION, attempt.version.0.into());
            if attempt.is_stale {
                headers.insert(STALE_OK, HeaderValue::from_static("1"));
            }
        })
    }

    /// Counts a part of the body, and refuses what is beyond the limit.
    pub(super) fn bound_body(&self, bytes: usize, ctx: &mut Forwarding) -> Result<()> {
        if matches!(ctx.carried, Some(Carried::Socket(_))) {
            return Ok(());
        }
        let Some(attempt) = &mut ctx.attempt else { return Ok(()) };
        attempt.body_bytes += bytes;
        let limits = &self.holder.protection.limits;
        if attempt.body_bytes > limits.body {
            ctx.problem = Some(limits::body_too_large(limits));
            return Error::e_explain(ErrorType::HTTPStatus(413), "the body is too large")
                .map_err(Error::into_down);
        }
        Ok(())
    }

    /// Looks at a site's reply; an error where it is not the client's answer.
    pub(super) fn judge(&self, response: &mut ResponseHeader, ctx: &mut Forwarding) -> Result<()> {
        let may_repeat =
            ctx.asker.as_ref().is_some_and(|asker| asker.repeatable != Repeatable::Never);
        let accepts = ctx.asker.as_ref().map_or(Accepts::Never, |asker| asker.accepts);
        let at = ctx.waited();
        let Some(attempt) = &mut ctx.attempt else { return Ok(()) };
        if attempt.is_stale {
            if accepts.is_answered(response.status, &response.headers) {
                attempt.answering = true;
                self.tried(ctx, Attempt::Stale);
                return Ok(());
            }
            self.standby_is_no_help(ctx);
            return Error::e_explain(MOVES_ON, "the standby has nothing to show");
        }
        let epoch = attempt.site.epoch;
        let reply = reply(response.status, &response.headers);
        if matches!(reply, Reply::NotServing | Reply::Misdirected)
            && let Some(hint) = hint(&response.headers)
        {
            self.holder.table.hear(&attempt.site.cell, hint, Instant::now());
        }
        match reply {
            Reply::NotServing => {
                self.tried(ctx, Attempt::NotServing);
                ctx.evidence = Evidence::NotServing { epoch, at };
            }
            Reply::Misdirected => {
                let cell = attempt.site.cell.clone();
                self.tried(ctx, Attempt::Misdirected);
                ctx.evidence = Evidence::Misdirected { cell, epoch };
            }
            Reply::OutcomeUnknown if may_repeat => {
                self.tried(ctx, Attempt::OutcomeUnknown);
                ctx.lost();
            }
            Reply::OutcomeUnknown | Reply::Answer | Reply::Refused => {
                attempt.answering = true;
                let is_well = reply == Reply::Refused || !response.status.is_server_error();
                if let Some(turn) = attempt.turn.take_if(|_| is_well) {
                    turn.answered();
                }
                if ctx.may_be_done && is_of_this_try_alone(response.status) {
                    response.insert_header(header::OUTCOME, "unknown")?;
                }
                if reply != Reply::OutcomeUnknown {
                    let (cell, site) = (attempt.place.cell(), &attempt.site);
                    self.holder.protection.answered(cell, site, is_well);
                }
                self.tried(ctx, Attempt::Answered);
                return Ok(());
            }
        }
        ctx.attempt = None;
        Error::e_explain(MOVES_ON, "the site refused the request")
    }

    /// Decides whether a request that failed under way is tried again.
    pub(super) fn goes_again(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Forwarding,
    ) -> bool {
        if *error.etype() == MOVES_ON {
            return true;
        }
        let is_over = *error.esource() == ErrorSource::Downstream
            || ctx.problem.is_some()
            || session.response_written().is_some()
            || ctx.attempt.as_ref().is_none_or(|attempt| attempt.answering);
        if is_over {
            return false;
        }
        let gateway = ctx.attempt.as_ref().map(|attempt| attempt.site.gateway);
        debug!(parent: &ctx.span, ?gateway, %error, "answer lost");
        if self.standby_is_no_help(ctx) {
            return true;
        }
        let is_silent = *error.etype() == ErrorType::ReadTimedout;
        if is_silent && ctx.asker.as_ref().is_some_and(|asker| !is_whole(session, asker)) {
            // The site is not to blame: it still waits for the rest.
            ctx.problem = Some(answer::too_slow());
            return false;
        }
        self.tried(ctx, Attempt::Lost);
        if let Some(attempt) = ctx.attempt.as_ref().filter(|_| is_silent) {
            self.holder.protection.failed(attempt.place.cell(), &attempt.site);
        }
        let repeatable = ctx.asker.as_ref().map(|asker| asker.repeatable);
        let sent = ctx.attempt.as_ref().is_some_and(|attempt| attempt.sent);
        if !sent {
            ctx.unreachable();
        } else if repeatable == Some(Repeatable::Never) || session.as_ref().retry_buffer_truncated()
        {
            ctx.problem = Some(answer::outcome_unknown());
            return false;
        } else {
            ctx.lost();
        }
        true
    }

    /// Ends a try at a standby: it teaches nothing about the active site. Returns whether it was one.
    fn standby_is_no_help(&self, ctx: &mut Forwarding) -> bool {
        let is_standby = ctx.attempt.as_ref().is_some_and(|attempt| attempt.is_stale);
        if is_standby {
            self.tried(ctx, Attempt::NoStale);
            ctx.attempt = None;
        }
        is_standby
    }

    /// Counts a try. A turn that has not ended well by now has failed.
    fn tried(&self, ctx: &mut Forwarding, outcome: Attempt) {
        if let Some(attempt) = &mut ctx.attempt {
            self.holder.metrics.attempt(&attempt.site.cell, outcome);
            attempt.turn.take().into_iter().for_each(Turn::failed);
        }
    }
}

/// Whether all of a request has come. What is said on a `WebSocket` is no body: it may take its time.
/// Of HTTP/2, the end may come after all that was announced has come: the site has that by then.
fn is_whole(session: &mut Session, asker: &Asker) -> bool {
    let announced = session.req_header().headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let session = session.as_mut();
    asker.stream == Some(Kind::Socket)
        || session.is_body_done()
        || announced.is_some_and(|announced| session.body_bytes_read() >= announced)
}
