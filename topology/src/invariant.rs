//! What must always hold, numbered once.
//!
//! Predicates over what was seen, shared by tests, the control plane's counters and the drills'
//! checkers. They only tell; what to do about a violation is the caller's business.

use std::collections::BTreeMap;
use std::fmt;

use crate::{CellId, Epoch, RegionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// At most one site of a cell acknowledges writes at any moment, and never under two epochs.
    I1,
    /// Versions and epochs a process has seen never decrease.
    I2,
    /// A site is promoted only after its predecessor's lease has run out or been handed over.
    I3,
    /// Every slot has exactly one owning cell.
    I4,
    /// An acknowledged strong write survives the loss of any one region.
    I5,
    /// Nothing on the request path waits for the control plane or for etcd.
    I6,
    /// Health moves activation, never placement.
    I7,
    /// One cell's overload or failure does not slow another cell.
    I8,
    /// A retried request with the same idempotency key has one effect and one answer.
    I9,
    /// No request reaches a cell without an authenticated user.
    I10,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A broken invariant and what showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub witness: String,
}

/// One acknowledged write, as evidence for [`single_writer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub cell: CellId,
    pub epoch: Epoch,
    pub region: RegionId,
    /// When the client sent the request, in nanoseconds of one clock.
    pub sent: u64,
    /// When the client had the answer, on the same clock.
    pub answered: u64,
}

/// I1 on recorded history: one region per cell and epoch, and no request acknowledged under an epoch
/// that was sent after a later epoch had already answered.
#[must_use]
pub fn single_writer(acknowledged: &[Acknowledged]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut writers: BTreeMap<(&CellId, Epoch), &RegionId> = BTreeMap::new();
    for ack in acknowledged {
        let writer = writers.entry((&ack.cell, ack.epoch)).or_insert(&ack.region);
        if *writer != &ack.region {
            let witness = format!(
                "cell {} acknowledged under epoch {} in {writer} and in {}",
                ack.cell, ack.epoch, ack.region
            );
            violations.push(Violation { invariant: Invariant::I1, witness });
        }
    }
    violations.extend(late_epochs(acknowledged));
    violations
}

/// An answer under an old epoch, to a request sent after a newer epoch had already answered.
fn late_epochs(acknowledged: &[Acknowledged]) -> Vec<Violation> {
    let mut answered: Vec<&Acknowledged> = acknowledged.iter().collect();
    answered.sort_by_key(|ack| ack.answered);
    let mut sent: Vec<&Acknowledged> = acknowledged.iter().collect();
    sent.sort_by_key(|ack| ack.sent);

    let mut newest: BTreeMap<&CellId, Epoch> = BTreeMap::new();
    let mut answered = answered.into_iter().peekable();
    let mut violations = Vec::new();
    for ack in sent {
        while let Some(earlier) = answered.next_if(|earlier| earlier.answered < ack.sent) {
            let epoch = newest.entry(&earlier.cell).or_insert(earlier.epoch);
            *epoch = (*epoch).max(earlier.epoch);
        }
        if let Some(newest) = newest.get(&ack.cell).filter(|newest| **newest > ack.epoch) {
            let witness = format!(
                "cell {} acknowledged under epoch {} in {} a request sent after epoch {newest} had \
                 answered",
                ack.cell, ack.epoch, ack.region
            );
            violations.push(Violation { invariant: Invariant::I1, witness });
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(epoch: u64, region: &str, sent: u64, answered: u64) -> Acknowledged {
        Acknowledged {
            cell: "c1".parse().unwrap(),
            epoch: Epoch(epoch),
            region: region.parse().unwrap(),
            sent,
            answered,
        }
    }

    #[test]
    fn an_orderly_failover_breaks_nothing() {
        assert_eq!(single_writer(&[ack(1, "east", 0, 5), ack(3, "south", 4, 9)]), []);
    }

    #[test]
    fn two_regions_under_one_epoch_are_caught() {
        assert_eq!(single_writer(&[ack(1, "east", 0, 5), ack(1, "south", 4, 9)]).len(), 1);
    }

    #[test]
    fn a_zombie_that_answers_after_its_successor_is_caught() {
        assert_eq!(single_writer(&[ack(3, "south", 0, 5), ack(1, "east", 6, 9)]).len(), 1);
    }
}
