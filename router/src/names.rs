//! The headers that routers and sites tell each other with, known to be names: what is a text would be
//! read anew with every request.

use http::HeaderName;
use topology::wire::header;

pub(crate) const USER: HeaderName = HeaderName::from_static(header::USER);
pub(crate) const ROLE: HeaderName = HeaderName::from_static(header::ROLE);
pub(crate) const SLOT: HeaderName = HeaderName::from_static(header::SLOT);
pub(crate) const CELL: HeaderName = HeaderName::from_static(header::CELL);
pub(crate) const REGION: HeaderName = HeaderName::from_static(header::REGION);
pub(crate) const EPOCH: HeaderName = HeaderName::from_static(header::EPOCH);
pub(crate) const ROUTE_VERSION: HeaderName = HeaderName::from_static(header::ROUTE_VERSION);
pub(crate) const STALE_OK: HeaderName = HeaderName::from_static(header::STALE_OK);
