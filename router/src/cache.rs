//! The edge cache: public files that routers keep, as far as the files allow it.
//!
//! What is kept was answered to somebody without an identity, says how long it may be kept, and is
//! neither private nor sets a cookie. Who sends a cookie or a token is served from what is kept, and
//! adds nothing to it. One request fetches what many ask for at the same time; while a stale answer is
//! refreshed, or no site answers, it is served as its `Cache-Control` allows.

mod credentials;
mod purge;
mod shelf;
mod status;
mod store;

use std::sync::Arc;
use std::time::Duration;

use http::header as names;
use pingora_cache::cache_control::CacheControl;
use pingora_cache::filters::resp_cacheable;
use pingora_cache::key::HashBinary;
use pingora_cache::lock::{CacheKeyLockImpl, CacheLock};
use pingora_cache::{
    CacheKey, CacheMeta, CacheMetaDefaults, CacheOptionOverrides, NoCacheReason, RespCacheable,
    VarianceBuilder,
};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use crate::metrics::EdgeMetrics;
pub(crate) use purge::routes;
pub(crate) use status::{Status, cache_status};
use store::{OBJECT_MAX, Store};

/// How long a request waits for another one's answer before it asks a site itself: longer than a file
/// takes from the farthest region, shorter than a person waits.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// As long as all tries of a fetch take; then another request fetches.
const FETCH_MAX: Duration = Duration::from_secs(6);
/// Only answers that say how long they may be kept are.
const ONLY_AS_TOLD: CacheMetaDefaults = CacheMetaDefaults::new(|_status| None, 0, 0);
/// Answers that mean the same to everybody who asks.
const KEPT_STATUSES: [u16; 5] = [200, 301, 308, 404, 410];

/// What is kept, and who is fetching what. Lives as long as the process: the cache library asks for
/// that.
#[derive(Clone, Copy)]
pub(crate) struct Cache {
    store: &'static Store,
    fetching: &'static CacheKeyLockImpl,
}

impl Cache {
    pub(crate) fn new(metrics: Arc<EdgeMetrics>) -> Self {
        let store = Box::leak(Box::new(Store::new(metrics)));
        let fetching = Box::leak(CacheLock::new_boxed(FETCH_MAX));
        Self { store, fetching }
    }

    /// Has a request answered from what is kept, and what it fetches kept.
    pub(crate) fn enable(self, session: &mut Session) {
        // Whoever may not add to the cache would let the others wait in vain.
        let fetching = (!credentials::are_in(session.req_header())).then_some(self.fetching);
        let mut bounds = CacheOptionOverrides::default();
        bounds.wait_timeout = Some(WAIT_MAX);
        session.cache.enable(self.store, None, None, fetching, Some(bounds));
    }
}

/// Returns what an answer is found by. The host is not part of it: all sites answer alike.
pub(crate) fn key(request: &RequestHeader) -> CacheKey {
    CacheKey::new(target(request), "")
}

fn target(request: &RequestHeader) -> &str {
    request.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

/// Returns whether an answer to this request is kept, and for how long.
pub(crate) fn keeps(request: &RequestHeader, response: &ResponseHeader) -> RespCacheable {
    if let Some(why) = refusal(request, response) {
        return RespCacheable::Uncacheable(why);
    }
    let control = CacheControl::from_resp_headers(response);
    resp_cacheable(control.as_ref(), response.clone(), false, &ONLY_AS_TOLD)
}

fn refusal(request: &RequestHeader, response: &ResponseHeader) -> Option<NoCacheReason> {
    let header = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
    let length = header(names::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let varies_on_everything =
        response.headers.get_all(names::VARY).iter().any(|vary| vary.as_bytes().contains(&b'*'));
    if credentials::are_in(request) {
        Some(NoCacheReason::Custom("asked with credentials"))
    } else if response.headers.contains_key(names::SET_COOKIE) {
        Some(NoCacheReason::Custom("sets a cookie"))
    } else if varies_on_everything || !KEPT_STATUSES.contains(&response.status.as_u16()) {
        Some(NoCacheReason::OriginNotCache)
    } else if length.is_some_and(|length| length > OBJECT_MAX) {
        Some(NoCacheReason::ResponseTooLarge)
    } else {
        None
    }
}

/// Returns which variant of an answer a request asks for, by the headers that its `Vary` names.
pub(crate) fn variant(meta: &CacheMeta, request: &RequestHeader) -> Option<HashBinary> {
    let mut variant = VarianceBuilder::new();
    for vary in meta.headers().get_all(names::VARY) {
        let listed = vary.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in listed.filter(|name| !name.is_empty()) {
            let asked = request.headers.get_all(name).iter();
            let values: Vec<&[u8]> = asked.map(http::HeaderValue::as_bytes).collect();
            variant.add_owned_name_value(name.to_ascii_lowercase(), values.join(&b","[..]));
        }
    }
    variant.finalize()
}

#[cfg(test)]
mod tests;
