//! Where an answer came from: for the client, in the words of RFC 9211, and for the metrics.

use pingora_cache::{CachePhase, HttpCache};

/// How the cache took part in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Kept and fresh.
    Hit,
    /// The same, after waiting for another request to fetch it.
    Coalesced,
    /// Kept and stale: it is being refreshed, or no site answers.
    Stale,
    /// Stale, and confirmed by a site.
    Revalidated,
    /// Stale, and replaced by a site's answer.
    Expired,
    /// Not kept until now.
    Miss,
    /// A site's answer that is not kept.
    Passed,
}

impl Status {
    pub(crate) const ALL: [Self; 7] = [
        Self::Hit,
        Self::Coalesced,
        Self::Stale,
        Self::Revalidated,
        Self::Expired,
        Self::Miss,
        Self::Passed,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Coalesced => "coalesced",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Expired => "expired",
            Self::Miss => "miss",
            Self::Passed => "passed",
        }
    }

    /// Returns how an answer came about; none where it never got as far.
    pub(crate) fn of(cache: &HttpCache) -> Option<Self> {
        match cache.phase() {
            CachePhase::Hit if cache.lock_duration().is_some() => Some(Self::Coalesced),
            CachePhase::Hit => Some(Self::Hit),
            CachePhase::Stale | CachePhase::StaleUpdating => Some(Self::Stale),
            CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => Some(Self::Revalidated),
            CachePhase::Expired => Some(Self::Expired),
            CachePhase::Miss => Some(Self::Miss),
            CachePhase::Disabled(_) | CachePhase::Bypass => Some(Self::Passed),
            CachePhase::Uninit | CachePhase::CacheKey => None,
        }
    }
}

/// Returns the value of `Cache-Status`.
pub(crate) fn cache_status(status: Status) -> &'static str {
    match status {
        Status::Hit => "bulkhead; hit",
        Status::Coalesced => "bulkhead; hit; collapsed",
        Status::Stale => "bulkhead; hit; detail=stale",
        Status::Revalidated => "bulkhead; hit; fwd=stale; fwd-status=304",
        Status::Expired => "bulkhead; fwd=stale; stored",
        Status::Miss => "bulkhead; fwd=uri-miss; stored",
        Status::Passed => "bulkhead; fwd=bypass",
    }
}
