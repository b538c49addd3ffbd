//! `regions/{region}` and `freeze`: what people have set, and every control plane keeps to.

use serde::{Deserialize, Serialize};

/// Whether the region is a target of failovers and planned moves. Written by the operation that says
/// so, as long as it is the one that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    pub drained: bool,
    pub operation: String,
    pub since_unix_ms: u64,
}

/// Nothing is moved, neither by plan nor by itself. The key stays when the freeze is lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeRecord {
    pub frozen: bool,
    pub reason: String,
    /// Who said so, as far as their token tells.
    pub who: String,
    pub since_unix_ms: u64,
    /// When it ends by itself, by the wall clock of whoever looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_ms: Option<u64>,
}
