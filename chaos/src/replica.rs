//! A site's database as it was in the end: what is in it, and which history it follows.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplicaRead {
    Is(Replica),
    Unread(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) is_primary: bool,
    /// What it last wrote, or last received.
    pub(crate) timeline: u32,
    pub(crate) tables: BTreeMap<String, Contents>,
}

/// All rows of a table, in the order of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) rows: u64,
    /// Nothing where there are none.
    pub(crate) checksum: String,
}
