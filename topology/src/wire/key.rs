//! The keys in etcd.

use crate::{CellId, RegionId, SiteId};

pub const PREFIX: &str = "/bulkhead/v1/";
pub const PLACEMENT: &str = "/bulkhead/v1/placement";
pub const CELLS: &str = "/bulkhead/v1/cells/";
pub const LEASES: &str = "/bulkhead/v1/leases/";
pub const SITES: &str = "/bulkhead/v1/sites/";
pub const ROUTERS: &str = "/bulkhead/v1/routers/";
pub const VANTAGES: &str = "/bulkhead/v1/vantages/";
pub const HISTORY: &str = "/bulkhead/v1/history/";
pub const EVIDENCE: &str = "/bulkhead/v1/evidence/";
pub const AUDIT: &str = "/bulkhead/v1/audit/";
/// What runs of drills came to.
pub const DRILLS: &str = "/bulkhead/v1/drills/";
/// Drills by schedule: who has them run, and what they do next.
pub const SUITE: &str = "/bulkhead/v1/suite/";
pub const SUITE_EXECUTOR: &str = "/bulkhead/v1/suite/executor";
pub const SUITE_PLAN: &str = "/bulkhead/v1/suite/plan";
/// Whether drills are stopped, whoever would run them.
pub const LEVER: &str = "/bulkhead/v1/lever";
/// Operations that go on. Those that have ended are elsewhere: these are read again and again.
pub const OPERATIONS: &str = "/bulkhead/v1/operations/";
pub const ENDED: &str = "/bulkhead/v1/ended/";
pub const REGIONS: &str = "/bulkhead/v1/regions/";
pub const FREEZE: &str = "/bulkhead/v1/freeze";
/// Which generation of etcd's history this is; see [`generation`](super::generation).
pub const GENERATION: &str = "/bulkhead/v1/generation";

#[must_use]
pub fn cell(cell: &CellId) -> String {
    format!("{CELLS}{cell}")
}

#[must_use]
pub fn lease(cell: &CellId) -> String {
    format!("{LEASES}{cell}")
}

#[must_use]
pub fn site(site: &SiteId) -> String {
    format!("{SITES}{}/{}", site.cell, site.region)
}

#[must_use]
pub fn router(id: &str) -> String {
    format!("{ROUTERS}{id}")
}

#[must_use]
pub fn vantage(region: &RegionId) -> String {
    format!("{VANTAGES}{region}")
}

#[must_use]
pub fn audit(id: &str) -> String {
    format!("{AUDIT}{id}")
}

/// Everything that is kept of where a cell was.
#[must_use]
pub fn history_of(cell: &CellId) -> String {
    format!("{HISTORY}{cell}/")
}

/// With leading zeros, so that keys are in the order of epochs.
#[must_use]
pub fn history(cell: &CellId, epoch: u64) -> String {
    format!("{HISTORY}{cell}/{epoch:020}")
}

/// Everything that is kept of what was noticed and decided about a cell.
#[must_use]
pub fn evidence_of(cell: &CellId) -> String {
    format!("{EVIDENCE}{cell}/")
}

/// With leading zeros, so that keys are in the order of time.
#[must_use]
pub fn evidence(cell: &CellId, at_unix_ms: u64, vantage: &str, what: &str) -> String {
    format!("{EVIDENCE}{cell}/{at_unix_ms:020}-{vantage}-{what}")
}

#[must_use]
pub fn operation(id: &str) -> String {
    format!("{OPERATIONS}{id}")
}

#[must_use]
pub fn ended(id: &str) -> String {
    format!("{ENDED}{id}")
}

#[must_use]
pub fn region(region: &RegionId) -> String {
    format!("{REGIONS}{region}")
}
