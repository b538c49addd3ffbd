//! `generation`: which generation of etcd's history this is. Missing while it never went back.

use serde::{Deserialize, Serialize};

/// Raised by whoever proves that etcd lost writes: one of its own came back under a lower revision
/// than one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    pub number: u64,
    /// The revision that is known to have been reached before, for people.
    pub floor: u64,
}
