//! Whether a cell is whole: any one region may be lost. Pure.

use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;
use topology::{CellId, RegionId};

use super::State;
use super::state::SeenCell;

/// How far a standby is behind, in the active site's words.
#[must_use]
pub fn lag(state: &State, id: &CellId, seen: &SeenCell, region: &RegionId) -> Option<u64> {
    let active = state.site(id, seen.routed.activation.holder()?);
    active.report()?.lag_bytes.get(region.as_str()).copied()
}

/// Returns whether every other site votes and follows the current epoch: any one region may be lost. The
/// active site lists only standbys that stream under this epoch's name. While it refuses strong
/// writes, because its barrier has yet to be passed, they are of no use to anybody.
#[must_use]
pub fn is_redundant(state: &State, id: &CellId, seen: &SeenCell) -> bool {
    let activation = &seen.routed.activation;
    let Some(active) = activation.serving() else { return false };
    let serves = |report: &SiteReport| {
        report.epoch == activation.epoch.0
            && report.tenure == TenureName::Serving
            && report.postgres == "primary"
            && !report.at_risk
    };
    let stands_by =
        |report: &SiteReport| report.tenure == TenureName::Standby && report.postgres == "standby";
    let holds = |region: &RegionId, is_so: &dyn Fn(&SiteReport) -> bool| {
        let site = state.site(id, region);
        site.is_reachable() && site.report().is_some_and(is_so)
    };
    let standbys = seen.routed.gateways.keys().filter(|region| *region != active);
    let mut standbys = standbys.filter(|region| !activation.retired.contains(*region)).peekable();
    holds(active, &serves)
        && standbys.peek().is_some()
        && standbys.all(|region| {
            activation.voters.contains(region)
                && holds(region, &stands_by)
                && lag(state, id, seen, region).is_some()
        })
}
