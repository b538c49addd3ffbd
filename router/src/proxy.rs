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

mod admission;
mod reply;
mod trying;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_cache::key::HashBinary;
use pingora_cache::{CacheKey, CacheMeta, RespCacheable};
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use tracing::debug;

use crate::access_log::AccessLog;
use crate::drain::Drain;
use crate::forwarding::Forwarding;
use crate::hold::Holder;
use crate::identity::Identities;
use crate::public::{self, PublicReads};
use crate::{cache, integrity, pace, trace};

pub(crate) struct Proxy {
    pub(crate) holder: Holder,
    pub(crate) identities: Arc<Identities>,
    pub(crate) public: PublicReads,
    pub(crate) access_log: AccessLog,
    pub(crate) drain: Arc<Drain>,
    /// How long an answer's bytes may stay untaken.
    pub(crate) unread: Duration,
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
        session.set_write_timeout(Some(self.unread));
        integrity::check(session, ctx)
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Forwarding) -> Result<bool> {
        self.say_if_draining(session);
        if self.answers_itself(session, ctx).await? {
            return Ok(true);
        }
        match self.admit(session.req_header(), ctx) {
            Ok(()) => Ok(false),
            Err(problem) => self.refuse(session, ctx, &problem).await.map(|()| true),
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
        match &mut ctx.read {
            Some(read) => self.public.place(read),
            None => self.place(session, ctx).await,
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
        self.not_reached(ctx);
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
            public::prepare(request)?;
            return trace::pass_on(&ctx.span, request);
        }
        self.send(session, request, ctx)?;
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
        self.bound_body(body.as_ref().map_or(0, Bytes::len), ctx)
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
        match &mut ctx.read {
            Some(read) => read.judge(response),
            None => self.judge(response, ctx),
        }
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Forwarding,
        _client_reused: bool,
    ) -> Box<Error> {
        if let Some(read) = &mut ctx.read {
            read.lost(session, &mut error);
            return error;
        }
        let again = self.goes_again(session, &error, ctx);
        error.set_retry(again);
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
        reply::sign(response, ctx);
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Forwarding,
    ) -> Result<Option<Duration>> {
        reply::pass_on(body, end_of_stream, ctx);
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Forwarding,
    ) -> FailToProxy {
        let error_code = self.give_up(session, error, ctx).await;
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Forwarding) {
        pace::answered(session);
        self.note(session, error, ctx);
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
    /// While draining, each answer on a kept connection says that it is the last.
    fn say_if_draining(&self, session: &mut Session) {
        if self.drain.has_begun() {
            session.set_keepalive(None);
        }
    }
}
