//! What to do about a cell whose record in etcd is older than what is known of it.
//!
//! etcd was restored from an older copy. Epochs never go back (I2), so the record is of no use to
//! anybody until somebody writes a later one: the active site, if it serves by what its voters
//! promise; else, after a while, a control plane that still knows the newest record. One that only
//! hears from a site that there was a later epoch knows neither who was active then nor who voted:
//! an election by an old record's voters could lose what was acknowledged, so it does nothing.

use std::time::Duration;

use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::{CellId, Epoch};

use super::failover::{delay, rank, seconds};
use super::state::SeenCell;
use super::{Action, Policy, State};

/// How long the active site is left to write its record anew: it reads it every second, and may have
/// to restart first.
const LEFT_TO_THE_SITES: Duration = Duration::from_secs(10);

/// Returns whether etcd, or this observer, knows less of the cell than somebody else does.
#[must_use]
pub fn is_outdated(seen: &SeenCell) -> bool {
    seen.older.is_some() || seen.ahead_since.is_some()
}

/// Returns what to do about an outdated record; nothing while its site may still write it anew.
pub(super) fn judge(
    cell: &CellId,
    seen: &SeenCell,
    state: &State,
    policy: &Policy,
    now: Instant,
) -> Option<Action> {
    let activation = &seen.routed.activation;
    let (cell_id, epoch) = (cell.clone(), activation.epoch);
    if let Some(since) = seen.ahead_since {
        let reason = "a site knows a later epoch than etcd, which has gone back in time".to_owned();
        let waited = now - since >= LEFT_TO_THE_SITES;
        return waited.then_some(Action::Freeze { cell: cell_id, epoch, reason });
    }
    let older = seen.older.as_ref()?;
    let unchanged = now - older.since;
    let due = LEFT_TO_THE_SITES + delay(rank(policy, activation.holder()));
    if unchanged < due || serves(cell, epoch, state) {
        return None;
    }
    let reason = format!(
        "etcd went back from epoch {epoch} to {} and nobody has served for {}, seen from {}",
        older.epoch,
        seconds(unchanged),
        policy.vantage
    );
    Some(Action::Restore { cell: cell_id, epoch, reason })
}

/// Returns whether a site of the cell says that it serves, under the newest epoch known: one that came
/// up with the old record does not count.
fn serves(cell: &CellId, epoch: Epoch, state: &State) -> bool {
    let reachable = state.sites_of(cell).filter(|(_, site)| site.is_reachable());
    let mut reports = reachable.filter_map(|(_, site)| site.report());
    reports.any(|report| {
        report.epoch >= epoch.0
            && match report.tenure {
                TenureName::Serving | TenureName::Draining => true,
                TenureName::Standby | TenureName::Fenced => false,
            }
    })
}
