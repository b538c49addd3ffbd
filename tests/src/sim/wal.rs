//! Everything PostgreSQL has ever written, on all sites: a tree of records.
//!
//! A site's data is one record: the last one it has flushed, and with it the way back to the first.
//! So nothing is ever copied, and whether one history contains another is a short walk. What
//! PostgreSQL itself compares are numbers, the timeline and the position, and two branches of the
//! tree may well show the same ones.

use std::cell::RefCell;
use std::cmp::Ordering;

use super::client::OpId;

/// A record; an index into the tree.
pub type At = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A checkpoint, a change of timeline, a schema: of no interest to anybody.
    Other,
    Strong(OpId),
    Weak(OpId),
    /// The row that opens an epoch, in a site.
    Barrier {
        epoch: u64,
        site: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub parent: At,
    pub depth: u32,
    pub timeline: u32,
    /// Where it ends.
    pub lsn: u64,
    pub what: What,
}

pub struct Wal(RefCell<Vec<Record>>);

/// How one history is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Part of it, or the same.
    Within,
    /// It goes on where the other ends.
    Beyond,
    /// Each has something the other has not.
    Diverged,
}

impl Default for Wal {
    fn default() -> Self {
        let first = Record { parent: 0, depth: 0, timeline: 1, lsn: 1000, what: What::Other };
        Self(RefCell::new(vec![first]))
    }
}

impl Wal {
    pub fn append(&self, parent: At, timeline: u32, bytes: u64, what: What) -> At {
        let mut records = self.0.borrow_mut();
        let before = records[parent];
        let (depth, lsn) = (before.depth + 1, before.lsn + bytes);
        records.push(Record { parent, depth, timeline, lsn, what });
        records.len() - 1
    }

    #[must_use]
    pub fn record(&self, at: At) -> Record {
        self.0.borrow()[at]
    }

    #[must_use]
    pub fn lsn(&self, at: At) -> u64 {
        self.record(at).lsn
    }

    #[must_use]
    pub fn timeline(&self, at: At) -> u32 {
        self.record(at).timeline
    }

    /// Returns whether `end`'s history has `at` in it.
    #[must_use]
    pub fn has(&self, end: At, at: At) -> bool {
        let records = self.0.borrow();
        back_to(&records, end, records[at].depth) == Some(at)
    }

    /// Returns how `one` is to `other`.
    #[must_use]
    pub fn compare(&self, one: At, other: At) -> Relation {
        let records = self.0.borrow();
        match records[one].depth.cmp(&records[other].depth) {
            Ordering::Less | Ordering::Equal
                if back_to(&records, other, records[one].depth) == Some(one) =>
            {
                Relation::Within
            }
            Ordering::Greater if back_to(&records, one, records[other].depth) == Some(other) => {
                Relation::Beyond
            }
            Ordering::Less | Ordering::Equal | Ordering::Greater => Relation::Diverged,
        }
    }

    /// Returns the first record that `of` gives something for, from `end` backwards.
    pub fn find<T>(&self, end: At, of: impl Fn(At, &Record) -> Option<T>) -> Option<T> {
        let records = self.0.borrow();
        let mut at = end;
        loop {
            let record = &records[at];
            if let Some(found) = of(at, record) {
                return Some(found);
            }
            if record.depth == 0 {
                return None;
            }
            at = record.parent;
        }
    }
}

fn back_to(records: &[Record], end: At, depth: u32) -> Option<At> {
    let mut at = end;
    while records[at].depth > depth {
        at = records[at].parent;
    }
    (records[at].depth == depth).then_some(at)
}
