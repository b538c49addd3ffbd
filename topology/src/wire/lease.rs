//! `leases/{cell}`: the active site's right to serve, renewed by writing it again.

use serde::{Deserialize, Serialize};

/// Its age is judged by each observer's own clock since `sequence` last changed, never by a time
/// written in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    pub holder: String,
    pub epoch: u64,
    pub sequence: u64,
}
