//! What to do with a request, as values: no clock, no network.

pub(crate) mod aim;
pub(crate) mod arrival;
pub(crate) mod breaker;
pub(crate) mod chunks;
pub(crate) mod fleet;
pub(crate) mod framing;
pub(crate) mod hold;
pub(crate) mod nearest;
pub(crate) mod origin;
pub(crate) mod refresh;
pub(crate) mod release;
pub(crate) mod retry;
pub(crate) mod route;
pub(crate) mod stale;
pub(crate) mod target;
