//! What is worth writing down of where cells are active, and what that says of a moment. Pure.

use std::collections::BTreeMap;

use topology::wire::cause::CauseRecord;
use topology::wire::history::HistoryRecord;
use topology::{Activation, Cause, CellId, Epoch, RegionId};

/// How long it is kept where a cell was: as long as anybody may ask where a user's request went.
pub const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Entries kept per cell: thirty moves a day for all that time.
pub const KEPT_MAX: usize = 1000;

/// What one control plane has seen of every cell's course.
#[derive(Debug)]
pub struct Chronicle {
    vantage: RegionId,
    cells: BTreeMap<CellId, Course>,
}

#[derive(Debug, Default)]
struct Course {
    /// The last epoch that was seen to serve.
    told: Epoch,
    moving: Option<Moving>,
}

#[derive(Debug)]
struct Moving {
    since_unix_ms: u64,
    reason: String,
    cause: Option<Cause>,
}

/// Where a cell was at a moment.
#[derive(Debug, PartialEq, Eq)]
pub enum Whereabouts<'a> {
    /// Before anything that is kept.
    Unrecorded,
    /// It served, until the moment if it has been moved since.
    Serving(&'a HistoryRecord, Option<u64>),
    /// It was on its way there, and nobody served.
    Moving(&'a HistoryRecord),
}

impl Moving {
    fn of(activation: &Activation, since_unix_ms: u64) -> Self {
        let Activation { reason, cause, .. } = activation.clone();
        Self { since_unix_ms, reason, cause }
    }
}

impl Chronicle {
    #[must_use]
    pub fn new(vantage: RegionId) -> Self {
        Self { vantage, cells: BTreeMap::new() }
    }

    /// Takes how a cell is now, and returns what should be written down, if it is news.
    pub fn saw(
        &mut self,
        cell: &CellId,
        activation: &Activation,
        now_unix_ms: u64,
    ) -> Option<HistoryRecord> {
        let course = self.cells.entry(cell.clone()).or_default();
        if activation.epoch <= course.told {
            return None;
        }
        let Some(active) = activation.serving() else {
            let moving = course.moving.get_or_insert_with(|| Moving::of(activation, now_unix_ms));
            // The first reason is the one that moves it, and the later ones say how that goes on: until
            // something else takes it up, as a person does who ends an election.
            // One that an earlier version of a program has rewritten has lost its cause on the way.
            if activation.cause.is_some() && moving.cause != activation.cause {
                *moving = Moving::of(activation, moving.since_unix_ms);
            }
            return None;
        };
        course.told = activation.epoch;
        let unseen = || Moving::of(activation, now_unix_ms);
        let Moving { since_unix_ms, reason, cause } = course.moving.take().unwrap_or_else(unseen);
        Some(HistoryRecord {
            epoch: activation.epoch.0,
            active: active.to_string(),
            begun_unix_ms: since_unix_ms,
            opened_unix_ms: now_unix_ms,
            cause: cause.as_ref().map(CauseRecord::from),
            reason,
            vantage: self.vantage.to_string(),
        })
    }
}

/// Returns where a cell was, by its records in the order of their epochs.
#[must_use]
pub fn whereabouts(records: &[HistoryRecord], at_unix_ms: u64) -> Whereabouts<'_> {
    let later = records.partition_point(|record| record.begun_unix_ms <= at_unix_ms);
    let Some(last) = later.checked_sub(1).and_then(|last| records.get(last)) else {
        return Whereabouts::Unrecorded;
    };
    if at_unix_ms < last.opened_unix_ms {
        return Whereabouts::Moving(last);
    }
    Whereabouts::Serving(last, records.get(later).map(|next| next.begun_unix_ms))
}

/// Returns the first record to keep: what held when the time kept begins is needed to tell of it.
#[must_use]
pub fn first_kept(records: &[HistoryRecord], now_unix_ms: u64) -> Option<&HistoryRecord> {
    let begin = now_unix_ms.saturating_sub(KEPT_MS);
    let within = records.partition_point(|record| record.opened_unix_ms <= begin);
    let by_number = records.len().saturating_sub(KEPT_MAX);
    records.get(within.saturating_sub(1).max(by_number))
}

#[cfg(test)]
mod tests;
