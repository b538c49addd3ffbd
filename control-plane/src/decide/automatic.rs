//! Whether a cell that serves may be moved without anybody asking: the one place where every such move
//! asks. What is elected because the lease is gone does not: that cell serves nobody.

use tokio::time::Instant;
use topology::automatic::{MOVED, SETTLED};

use super::Policy;
use super::failover::seconds;
use super::state::SeenCell;
use super::verdict::matrix::Matrix;

/// Why a cell is left where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    #[error("this observer alone sees sites of {} badly", .0.join(" and "))]
    Blind(Vec<String>),
    #[error("sites of {} turned bad at once: that is an observer's fault, or larger than a site", .0.join(" and "))]
    Widespread(Vec<String>),
    #[error("the cell's epoch has been known for {0} only")]
    Unsettled(String),
    #[error("the cell was moved {0} ago")]
    JustMoved(String),
    #[error("no better site: {0}")]
    NoBetterSite(String),
}

/// Returns whether an automatic move of this cell may begin now.
pub fn may_move(
    seen: &SeenCell,
    matrix: &Matrix<'_>,
    policy: &Policy,
    now: Instant,
) -> Result<(), Held> {
    if let Some(regions) = matrix.blind().get(&policy.vantage) {
        return Err(Held::Blind(regions.iter().map(ToString::to_string).collect()));
    }
    if !is_settled(seen, now) {
        return Err(Held::Unsettled(seconds(now.saturating_duration_since(seen.epoch_since))));
    }
    match seen.moved.map(|at| now.saturating_duration_since(at)) {
        Some(ago) if ago < MOVED => Err(Held::JustMoved(seconds(ago))),
        Some(_) | None => Ok(()),
    }
}

/// Returns whether the cell's epoch has been known for long enough.
#[must_use]
pub(super) fn is_settled(seen: &SeenCell, now: Instant) -> bool {
    now.saturating_duration_since(seen.epoch_since) >= SETTLED
}
