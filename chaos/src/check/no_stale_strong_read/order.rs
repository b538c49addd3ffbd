//! Whether calls of one register can be told one after the other: the search of Wing and Gong, with Lowe's
//! memory of where it has been.
//!
//! Pure. The register is a number that compare-and-set makes one more. A call that was answered took effect
//! at one moment between its beginning and its end; one that was not may take effect at any moment after
//! its beginning, or never.

use std::collections::HashSet;
use std::time::Duration;

/// Places looked at for one register. It has some hundred calls of which a few are open at once, and needs
/// about one place for each call: whoever needs this many knows too little to tell.
pub(super) const PLACES_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It was `from`, and is one more now.
    Set { from: u64 },
    /// The same, or nothing at all, or not yet.
    MaybeSet { from: u64 },
    /// It was found to be this.
    Found { value: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Whoever asks tells it by this.
    pub(super) number: usize,
    pub(super) act: Act,
    pub(super) begun: Duration,
    /// Of one that was not answered: never.
    pub(super) ended: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Exists,
    Impossible,
    /// Too many ways to tell it.
    Unknown,
}

impl Act {
    /// Returns what the register is afterwards; none if this cannot happen now.
    fn after(self, value: u64) -> Option<u64> {
        match self {
            Self::Set { from } | Self::MaybeSet { from } => (from == value).then_some(from + 1),
            Self::Found { value: found } => (found == value).then_some(value),
        }
    }

    pub(super) fn must_happen(self) -> bool {
        match self {
            Self::Set { .. } | Self::Found { .. } => true,
            Self::MaybeSet { .. } => false,
        }
    }
}

/// Which calls have happened, a bit each, and what the register is then.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    happened: Vec<u64>,
    value: u64,
}

impl Place {
    fn has(&self, call: usize) -> bool {
        self.happened[call / 64] & (1 << (call % 64)) != 0
    }

    fn with(&self, call: usize, value: u64) -> Self {
        let mut happened = self.happened.clone();
        happened[call / 64] |= 1 << (call % 64);
        Self { happened, value }
    }
}

/// Looks for an order, with the register being `first` before all of them.
pub(super) fn order(calls: &[Call], first: u64, places_max: usize) -> Order {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.begun);
    let mut been = HashSet::new();
    let mut open = vec![Place { happened: vec![0; calls.len().div_ceil(64)], value: first }];
    while let Some(place) = open.pop() {
        if been.contains(&place) {
            continue;
        }
        if been.len() == places_max {
            return Order::Unknown;
        }
        let is_due = |(at, call): (usize, &Call)| call.act.must_happen() && !place.has(at);
        if !calls.iter().enumerate().any(is_due) {
            return Order::Exists;
        }
        open.extend(next(&calls, &place));
        been.insert(place);
    }
    Order::Impossible
}

/// Returns where one more call leads to.
fn next(calls: &[Call], place: &Place) -> Vec<Place> {
    let mut next = Vec::new();
    // Whoever begins later than another has ended, comes after it. The calls are in the order they began in:
    // those that follow end later still.
    let mut first_end = Duration::MAX;
    for (at, call) in calls.iter().enumerate().filter(|(at, _)| !place.has(*at)) {
        if call.begun > first_end {
            break;
        }
        first_end = first_end.min(call.ended);
        let Some(value) = call.act.after(place.value) else { continue };
        match call.act {
            // It changes nothing for the others: whatever else is possible is possible afterwards.
            Act::Found { .. } => return vec![place.with(at, value)],
            Act::Set { .. } | Act::MaybeSet { .. } => next.push(place.with(at, value)),
        }
    }
    next
}

/// Returns the fewest calls that show that there is no order: those until the first answer that does not
/// fit, without the reads that do not matter.
pub(super) fn witness(calls: &[Call], first: u64, places_max: usize) -> Vec<Call> {
    let is_impossible = |calls: &[Call]| order(calls, first, places_max) == Order::Impossible;
    let mut ends: Vec<Duration> = calls.iter().map(|call| call.ended).collect();
    ends.sort_unstable();
    // Once it does not fit, it never fits again.
    let first_bad = ends.partition_point(|end| !is_impossible(&until(calls, *end)));
    let mut kept = ends.get(first_bad).map_or_else(|| calls.to_vec(), |end| until(calls, *end));
    let mut at = 0;
    while at < kept.len() {
        let mut without = kept.clone();
        let call = without.remove(at);
        if matches!(call.act, Act::Found { .. }) && is_impossible(&without) {
            kept = without;
        } else {
            at += 1;
        }
    }
    kept
}

/// Returns what was known of the calls at a moment.
fn until(calls: &[Call], moment: Duration) -> Vec<Call> {
    let known = calls.iter().filter(|call| call.begun <= moment).filter_map(|call| {
        if call.ended <= moment {
            return Some(*call);
        }
        match call.act {
            Act::Set { from } | Act::MaybeSet { from } => {
                Some(Call { act: Act::MaybeSet { from }, ended: Duration::MAX, ..*call })
            }
            Act::Found { .. } => None,
        }
    });
    known.collect()
}

#[cfg(test)]
mod tests;
