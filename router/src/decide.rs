//! What to do with a request, as values: no clock, no network.

pub(crate) mod hold;
pub(crate) mod retry;
pub(crate) mod route;
pub(crate) mod stale;
