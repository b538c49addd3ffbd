//! When a drill is ended early, by its run or by its guard: cells that should not notice anything do.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Fewer requests say nothing.
const ENOUGH: u32 = 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StopCondition {
    /// Share of failed requests on cells that the fault does not touch …
    pub(crate) above: f64,
    /// … over this long.
    pub(crate) over: Duration,
}

impl StopCondition {
    /// Returns whether it is met by so many requests of that time.
    pub(crate) fn is_met(&self, asked: u32, failed: u32) -> bool {
        asked >= ENOUGH && f64::from(failed) > f64::from(asked) * self.above
    }
}

impl fmt::Display for StopCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, over) = (self.above * 100.0, self.over);
        write!(f, "more than {share:.0} % of other cells' requests failed for {over:?}")
    }
}
