//! Headers between router and site, and back to the client.

/// Set by the router from the authenticated identity; stripped from clients (I10).
pub const USER: &str = "x-bulkhead-user";
/// In which part the user asks: `contact`, `agent` or `service`; a contact where it is missing.
pub const ROLE: &str = "x-bulkhead-role";
/// The slot a request is about: its user's, or for an agent that of what the path names; none where
/// an agent's request is about the whole cell.
pub const SLOT: &str = "x-bulkhead-slot";
pub const CELL: &str = "x-bulkhead-cell";
pub const EPOCH: &str = "x-bulkhead-epoch";
pub const ROUTE_VERSION: &str = "x-bulkhead-route-version";
/// On answers: where the request was served.
pub const REGION: &str = "x-bulkhead-region";
/// On a `503` of a site that does not serve: `failing-over`, `draining` or `fenced`.
pub const STATE: &str = "x-bulkhead-state";
/// On a `503` of a site that serves, and does not do this for now: `at-risk`. It has not failed.
pub const REFUSED: &str = "x-bulkhead-refused";
/// On a refusal of a site that is not the active one: who is, as it has heard (`wire::hint`).
pub const ACTIVE: &str = "x-bulkhead-active";
/// On a read whose answer may be old: `1` lets a site that does not serve answer it.
pub const STALE_OK: &str = "x-bulkhead-stale-ok";
/// On such an answer: how many seconds ago the last commit was made that the site has heard of, or
/// `unknown`. Also on strong reads of an active site whose epoch is not open, unless they say that
/// they want no old answer.
pub const STALE: &str = "x-bulkhead-stale";
/// On a `503` after work was done whose outcome nobody knows: `unknown`.
pub const OUTCOME: &str = "x-bulkhead-outcome";

/// Every name with this prefix is Bulkhead's own, and removed from what clients send.
pub const PREFIX: &str = "x-bulkhead-";

pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
