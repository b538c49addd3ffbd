//! Whether a request goes to its cell's site now, waits, or is given up.
//!
//! Waiting begins on typed evidence only, and ends when what was evidence no longer holds:
//!
//! ```text
//!   evidence                          goes again
//!   ───────────────────────────────   ──────────────────────────────────────────────────
//!   the cell has no active site       when it has one
//!   421                               under a later epoch, or to another cell
//!   503 with x-bulkhead-state         under a later epoch, or to the same site 100 ms later
//!   no connection                     under a later epoch, or to the same site 20 … 250 ms later
//!   sent, and lost                    as above, within the cell's retry budget
//! ```
//!
//! Asking the same site again is safe where nothing was done, and saves the wait where the site is
//! a few milliseconds ahead of the snapshot or behind it, or where a process restarts in place and
//! no epoch changes.
//!
//! Times are durations since the request arrived.

use std::time::Duration;

use topology::{CellId, Epoch};

/// Longest wait: below the 10 s that people and their browsers put up with, of which a tenth of a
/// second is kept for the answer that says that it was in vain; above a failover (3 to 5 s).
pub(crate) const DEADLINE: Duration = Duration::from_millis(9_900);
/// Before a site that does not serve yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Before a site that cannot be reached is tried again; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_millis(250);

/// What the last try taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Not tried yet.
    None,
    /// The site does not serve now; nothing was done.
    NotServing { epoch: Epoch, at: Duration },
    /// Not this site's request; nothing was done.
    Misdirected { cell: CellId, epoch: Epoch },
    /// No connection; nothing was sent.
    Unreachable { epoch: Epoch, at: Duration, failures: u32 },
    /// Sent, and no answer came: repeated only because repeating it is harmless.
    Lost { epoch: Epoch, at: Duration, failures: u32 },
}

/// Where the snapshot in use sends the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) cell: &'a CellId,
    pub(crate) epoch: Epoch,
    pub(crate) has_site: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send,
    /// Send, if the cell's retry budget allows; otherwise wait as long as [`pause`] says.
    SendWithinBudget,
    /// Wait for another snapshot, at most until then.
    Wait {
        until: Duration,
    },
    GiveUp,
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    NoTable,
    NoActiveSite,
    NotServing,
    Misdirected,
    Unreachable,
    Lost,
}

/// Decides what a request does after waiting for `waited`; `target` is none before the router has
/// any snapshot at all.
pub(crate) fn step(evidence: &Evidence, target: Option<Target<'_>>, waited: Duration) -> Step {
    let wait = |until: Duration| {
        if waited < DEADLINE { Step::Wait { until: until.min(DEADLINE) } } else { Step::GiveUp }
    };
    let Some(target) = target.filter(|target| target.has_site) else { return wait(DEADLINE) };
    match evidence {
        Evidence::None => Step::Send,
        Evidence::Misdirected { cell, epoch } => {
            if target.epoch > *epoch || target.cell != cell {
                Step::Send
            } else {
                wait(DEADLINE)
            }
        }
        Evidence::NotServing { epoch, .. }
        | Evidence::Unreachable { epoch, .. }
        | Evidence::Lost { epoch, .. }
            if target.epoch > *epoch =>
        {
            Step::Send
        }
        Evidence::NotServing { at, .. } | Evidence::Unreachable { at, .. }
            if waited >= *at + pause(evidence) =>
        {
            // Past the deadline nothing goes to a site that could not take it a moment ago.
            if waited < DEADLINE { Step::Send } else { Step::GiveUp }
        }
        Evidence::Lost { at, .. } if waited >= *at + pause(evidence) => {
            if waited < DEADLINE {
                Step::SendWithinBudget
            } else {
                Step::GiveUp
            }
        }
        Evidence::NotServing { at, .. }
        | Evidence::Unreachable { at, .. }
        | Evidence::Lost { at, .. } => wait(*at + pause(evidence)),
    }
}

/// Returns how long the same site is left alone after this.
pub(crate) fn pause(evidence: &Evidence) -> Duration {
    match evidence {
        Evidence::None | Evidence::Misdirected { .. } => Duration::ZERO,
        Evidence::NotServing { .. } => ASK_AGAIN,
        Evidence::Unreachable { failures, .. } | Evidence::Lost { failures, .. } => {
            let doublings = failures.saturating_sub(1).min(8);
            (BACK_OFF * 2u32.pow(doublings)).min(BACK_OFF_MAX)
        }
    }
}

/// Returns why a request with this evidence and target waits.
pub(crate) fn cause(evidence: &Evidence, target: Option<Target<'_>>) -> Cause {
    match (evidence, target) {
        (_, None) => Cause::NoTable,
        (Evidence::Misdirected { .. }, Some(_)) => Cause::Misdirected,
        (_, Some(target)) if !target.has_site => Cause::NoActiveSite,
        (Evidence::None, Some(_)) => Cause::NoActiveSite,
        (Evidence::NotServing { .. }, Some(_)) => Cause::NotServing,
        (Evidence::Unreachable { .. }, Some(_)) => Cause::Unreachable,
        (Evidence::Lost { .. }, Some(_)) => Cause::Lost,
    }
}

impl Cause {
    pub(crate) const ALL: [Self; 6] = [
        Self::NoTable,
        Self::NoActiveSite,
        Self::NotServing,
        Self::Misdirected,
        Self::Unreachable,
        Self::Lost,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoTable => "no-table",
            Self::NoActiveSite => "no-active-site",
            Self::NotServing => "not-serving",
            Self::Misdirected => "misdirected",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests;
