//! Pingora's hooks, in the order in which a request meets them. Each decides nothing itself.
//!
//! ```text
//!  request_filter ─▶ upstream_peer ─▶ (connect) ─▶ upstream_request_filter ─▶ (send, wait)
//!   health, limits,     ▲ hold,          │ fail_to_connect          │         │
//!   public, identity    │ release        │           error_while_proxy         │ upstream_
//!                       └────────────────┴── again ─────────┴──────────────────┤ response_filter
//!                                                                              ▼
//!                            fail_to_proxy (the router's own answer)     response_filter
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use pingora_cache::key::HashBinary;
use pingora_cache::{CacheKey, CacheMeta, RespCacheable};
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use runtime::Problem;
use topology::Role;
use topology::wire::header;
use tracing::debug;

use crate::access_log::AccessLog;
use crate::decide::aim::{Aim, By, aim};
use crate::decide::hold::Evidence;
use crate::decide::retry::{Budget, Repeatable, Reply, reply};
use crate::decide::stale::Accepts;
use crate::drain::Drain;
use crate::forwarding::{self, Asker, Forwarding};
use crate::hold::{Holder, Unplaced};
use crate::identity::{Identities, Person, Unidentified, visitor};
use crate::metrics::Attempt;
use crate::outgoing::{self, Client};
use crate::public::{self, PublicReads};
use crate::stream::{Carried, Kind};
use crate::{answer, cache, integrity, limits, pace, trace, visitors};

/// How long an answer's bytes may stay untaken; in between clients are on trains and in tunnels.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// The path that needs no identity, and no cell.
const HEALTH: &str = "/healthz";
/// The site said that it did nothing, or that nobody knows: the request may move on.
const MOVES_ON: ErrorType = ErrorType::Custom("site refused");

pub(crate) struct Proxy {
    pub(crate) holder: Holder,
    pub(crate) identities: Arc<Identities>,
    pub(crate) public: PublicReads,
    pub(crate) access_log: AccessLog,
    pub(crate) drain: Arc<Drain>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Forwarding;

    fn new_ctx(&self) -> Forwarding {
        Forwarding::new()
    }

    /// Answers pass through as they are: compression is the sites' business.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// Before anything is decided by what a request says.
    async fn early_request_filter(
        &self,
        session: &mut Session,
        ctx: &mut Forwarding,
    ) -> Result<()> {
        pace::head_is_whole(session);
        // A client that does not read its answer is left when this much time makes no difference.
        session.set_write_timeout(Some(UNREAD_MAX));
        integrity::check(session, ctx)
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Forwarding) -> Result<bool> {
        self.say_if_draining(session);
        let head = session.req_header();
        if head.uri.path() == HEALTH && matches!(head.method.as_str(), "GET" | "HEAD") {
            answer::health(session, &self.holder.table).await?;
            return Ok(true);
        }
        ctx.span = trace::begin(head);
        if head.uri.path() == visitor::PATH {
            visitors::answer(session, ctx, &self.identities, &self.holder).await?;
            return Ok(true);
        }
        if limits::check(head, &self.holder.protection.limits).is_ok()
            && let Some(read) = self.public.admit(head)
        {
            ctx.read = Some(read);
            return Ok(false);
        }
        match self.admit(head) {
            Ok(asker) => {
                let asker = ctx.asker.insert(asker);
                let Err(problem) = self.count(asker) else { return Ok(false) };
                answer::problem(session, ctx, &self.holder.table, &problem).await?;
                Ok(true)
            }
            Err(problem) => {
                if limits::are_exceeded(&problem) {
                    session.set_keepalive(None);
                }
                answer::problem(session, ctx, &self.holder.table, &problem).await?;
                Ok(true)
            }
        }
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Forwarding) -> Result<()> {
        if let Some(read) = &ctx.read {
            self.public.enable_cache(session, read);
        }
        Ok(())
    }

    fn cache_key_callback(&self, session: &Session, _ctx: &mut Forwarding) -> Result<CacheKey> {
        Ok(cache::key(session.req_header()))
    }

    fn cache_vary_filter(
        &self,
        meta: &CacheMeta,
        _ctx: &mut Forwarding,
        request: &RequestHeader,
    ) -> Option<HashBinary> {
        cache::variant(meta, request)
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        response: &ResponseHeader,
        _ctx: &mut Forwarding,
    ) -> Result<RespCacheable> {
        Ok(cache::keeps(session.req_header(), response))
    }

    fn should_serve_stale(
        &self,
        _session: &mut Session,
        ctx: &mut Forwarding,
        error: Option<&Error>,
    ) -> bool {
        ctx.read.as_ref().is_some_and(|read| read.takes_stale(error))
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Forwarding,
    ) -> Result<Box<HttpPeer>> {
        if let Some(read) = &mut ctx.read {
            return self.public.place(read);
        }
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

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Forwarding,
        mut error: Box<Error>,
    ) -> Box<Error> {
        debug!(parent: &ctx.span, %peer, %error, "site not reached");
        if let Some(read) = &mut ctx.read {
            read.lost(session, &mut error);
            return error;
        }
        if !self.standby_is_no_help(ctx) {
            self.tried(ctx, Attempt::Unreachable);
            ctx.unreachable();
        }
        error.set_retry(true);
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Forwarding,
    ) -> Result<()> {
        if ctx.read.is_some() {
            public::prepare(request);
            return trace::pass_on(&ctx.span, request);
        }
        let (Some(asker), Some(attempt)) = (&ctx.asker, &mut ctx.attempt) else {
            return Error::e_explain(ErrorType::InternalError, "a request has no site");
        };
        attempt.sent = true;
        attempt.body_bytes = 0;
        // What is said on a WebSocket is no body: it may take its time.
        let is_whole = asker.stream == Some(Kind::Socket) || session.as_mut().is_body_done();
        pace::body(session, is_whole);
        let client = Client::of(session.digest());
        outgoing::prepare(request, client, &self.holder.protection.trusted_proxies)?;
        if let Some(target) = &asker.target {
            request.set_uri(target.clone());
        }
        request.insert_header(header::USER, asker.person.user.clone())?;
        request.insert_header(header::ROLE, asker.person.role.as_str())?;
        if let Some(slot) = asker.aim.slot() {
            request.insert_header(header::SLOT, slot.number())?;
        }
        request.insert_header(header::CELL, attempt.site.headers.cell.clone())?;
        request.insert_header(header::EPOCH, attempt.site.headers.epoch.clone())?;
        request.insert_header(header::ROUTE_VERSION, attempt.version.0)?;
        if attempt.is_stale {
            request.insert_header(header::STALE_OK, "1")?;
        }
        trace::pass_on(&ctx.span, request)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Forwarding,
    ) -> Result<()> {
        if end_of_stream {
            pace::body(session, true);
        }
        if matches!(ctx.carried, Some(Carried::Socket(_))) {
            return Ok(());
        }
        let Some(attempt) = &mut ctx.attempt else { return Ok(()) };
        attempt.body_bytes += body.as_ref().map_or(0, Bytes::len);
        let limits = &self.holder.protection.limits;
        if attempt.body_bytes > limits.body {
            ctx.problem = Some(limits::body_too_large(limits));
            return Error::e_explain(ErrorType::HTTPStatus(413), "the body is too large")
                .map_err(Error::into_down);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Forwarding,
    ) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        if let Some(read) = &mut ctx.read {
            return read.judge(response);
        }
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
            Reply::OutcomeUnknown | Reply::Answer => {
                attempt.answering = true;
                attempt.turn = None;
                if reply == Reply::Answer {
                    let (cell, site) = (attempt.place.cell(), &attempt.site);
                    self.holder.protection.answered(cell, site, response.status);
                }
                self.tried(ctx, Attempt::Answered);
                return Ok(());
            }
        }
        ctx.attempt = None;
        Error::e_explain(MOVES_ON, "the site refused the request")
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Forwarding,
        _client_reused: bool,
    ) -> Box<Error> {
        if let Some(read) = &mut ctx.read {
            read.lost(session, &mut error);
            return error;
        }
        if *error.etype() == MOVES_ON {
            error.set_retry(true);
            return error;
        }
        let is_over = *error.esource() == ErrorSource::Downstream
            || ctx.problem.is_some()
            || session.response_written().is_some()
            || ctx.attempt.as_ref().is_none_or(|attempt| attempt.answering);
        if is_over {
            error.set_retry(false);
            return error;
        }
        debug!(parent: &ctx.span, %peer, %error, "answer lost");
        if self.standby_is_no_help(ctx) {
            error.set_retry(true);
            return error;
        }
        self.tried(ctx, Attempt::Lost);
        if let Some(attempt) =
            ctx.attempt.as_ref().filter(|_| *error.etype() == ErrorType::ReadTimedout)
        {
            self.holder.protection.failed(attempt.place.cell(), &attempt.site);
        }
        let repeatable = ctx.asker.as_ref().map(|asker| asker.repeatable);
        let sent = ctx.attempt.as_ref().is_some_and(|attempt| attempt.sent);
        if !sent {
            ctx.unreachable();
        } else if repeatable == Some(Repeatable::Never) || session.as_ref().retry_buffer_truncated()
        {
            ctx.problem = Some(answer::outcome_unknown());
            error.set_retry(false);
            return error;
        } else {
            ctx.lost();
        }
        error.set_retry(true);
        error
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Forwarding,
    ) -> Result<()> {
        self.say_if_draining(session);
        if let Some(read) = &ctx.read {
            return read.sign(session, response);
        }
        let asked = ctx.asker.as_ref().and_then(|asker| asker.stream);
        ctx.carried = asked
            .filter(|kind| kind.is_begun_by(response.status, &response.headers))
            .map(Carried::new);
        let Some(attempt) = &ctx.attempt else { return Ok(()) };
        let headers = &attempt.site.headers;
        response.insert_header(header::CELL, headers.cell.clone())?;
        response.insert_header(header::REGION, headers.region.clone())?;
        // The site's word counts: it is the one that acknowledges.
        if !response.headers.contains_key(header::EPOCH) {
            response.insert_header(header::EPOCH, headers.epoch.clone())?;
        }
        response.insert_header(header::ROUTE_VERSION, attempt.version.0)?;
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Forwarding,
    ) -> Result<Option<Duration>> {
        if let Some(carried) = &mut ctx.carried {
            carried.saw(body.as_deref().unwrap_or_default());
            // An upgraded connection ends without an error, whatever the reason.
            if end_of_stream && let Some(words) = carried.last_words_of_socket() {
                *body = Some([body.as_deref().unwrap_or_default(), &words].concat().into());
            }
        }
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Forwarding,
    ) -> FailToProxy {
        if let Err(err) = answer::end_stream(session, ctx).await {
            debug!(parent: &ctx.span, error = %err, "last words not delivered");
        }
        let no_site = || ctx.read.is_some().then(public::no_site);
        let problem = ctx
            .problem
            .take()
            .or_else(|| unexpected(error).map(|other| no_site().unwrap_or(other)));
        let Some(problem) = problem.filter(|_| session.response_written().is_none()) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        // Pingora closes the connection after a failure, and the answer has to say so: one that seemed
        // usable would be reset under the client's next request on it, whoever's that is.
        session.set_keepalive(None);
        if let Err(err) = answer::problem(session, ctx, &self.holder.table, &problem).await {
            debug!(parent: &ctx.span, error = %err, "answer not delivered");
        }
        FailToProxy { error_code: problem.status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Forwarding) {
        pace::answered(session);
        let status = session.response_written().map(|response| response.status.as_u16());
        let table = self.holder.table.current();
        let cell = ctx.asker.as_ref().zip(table.as_ref()).and_then(|(asker, applied)| {
            let (target, _) = applied.find(&asker.aim)?;
            Some(target.cell.as_str())
        });
        let elapsed = ctx.waited();
        if let Some(status) = status {
            ctx.span.record("http.response.status_code", status);
            let method = &session.req_header().method;
            let seconds = elapsed.as_secs_f64();
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

    /// Logged here, with the request's span, and counted.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Forwarding, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Forwarding,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

impl Proxy {
    /// Checks what can be checked without a site.
    fn admit(&self, head: &RequestHeader) -> std::result::Result<Asker, Problem> {
        limits::check(head, &self.holder.protection.limits)?;
        let now = runtime::clock::unix_millis() / 1000;
        let person = self.identities.identify(head, now).map_err(Unidentified::problem)?;
        let (aim, target) = self.aim(&person, head)?;
        Ok(Asker::new(person, aim, target, head))
    }

    /// Returns what a request is for, and its target as the cell knows it if that is another.
    fn aim(
        &self,
        person: &Person,
        head: &RequestHeader,
    ) -> std::result::Result<(Aim, Option<Uri>), Problem> {
        if person.role == Role::Contact {
            return Ok((Aim::Own(person.slot), None));
        }
        let by = By { role: person.role, slot: person.slot, cells: person.cells.as_ref() };
        let applied = self.holder.table.current();
        let placement = applied.as_ref().map(|applied| &applied.snapshot.placement);
        let (aim, path) =
            aim(by, head.uri.path(), placement).map_err(|why| answer::astray(&why))?;
        Ok((aim, forwarding::target(&head.uri, path)))
    }

    /// While draining, each answer on a kept connection says that it is the last.
    fn say_if_draining(&self, session: &mut Session) {
        if self.drain.has_begun() {
            session.set_keepalive(None);
        }
    }

    /// Takes a request from the buckets; each that passes earns its cell a part of a retry.
    fn count(&self, asker: &Asker) -> std::result::Result<(), Problem> {
        let applied = self.holder.table.current();
        let found = applied.as_ref().and_then(|applied| applied.find(&asker.aim));
        let Some((target, cell)) = found else { return Ok(()) };
        self.holder.protection.admit(asker, target.cell, cell)?;
        cell.memory.budget(Budget::earn);
        Ok(())
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

    fn tried(&self, ctx: &Forwarding, outcome: Attempt) {
        if let Some(attempt) = &ctx.attempt {
            self.holder.metrics.attempt(&attempt.site.cell, outcome);
        }
    }
}

/// Returns what to say about an error that no hook has explained; nothing where the client is gone.
fn unexpected(error: &Error) -> Option<Problem> {
    let gone = [ErrorType::ReadError, ErrorType::WriteError, ErrorType::ConnectionClosed];
    match error.esource() {
        ErrorSource::Downstream if pace::is_late(error) => Some(too_slow()),
        ErrorSource::Downstream if gone.contains(error.etype()) => None,
        ErrorSource::Downstream if *error.etype() == ErrorType::ReadTimedout => Some(too_slow()),
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

fn too_slow() -> Problem {
    Problem::new(408, "request-timeout", "The request came too slowly")
}
