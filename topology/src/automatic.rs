//! When a cell that serves may be moved without anybody asking: what control planes go by, and whoever waits
//! for such a move.

use std::time::Duration;

/// How long a cell's epoch must have been known: one such move a minute, and none by a control plane
/// that has only just begun to look.
pub const SETTLED: Duration = Duration::from_mins(1);
/// How long a cell stays where it was moved to, whoever moved it: what follows it there was not the
/// site's fault.
pub const MOVED: Duration = Duration::from_mins(10);
