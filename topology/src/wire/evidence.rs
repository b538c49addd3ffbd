//! `evidence/{cell}/{moment}-{vantage}-{what}`: what a control plane noticed or decided about a cell, with
//! all that it went by. Written once, and read by people afterwards: nothing is decided by it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceRecord {
    pub at_unix_ms: u64,
    /// The region whose control plane it was.
    pub vantage: String,
    /// What it decided (`take-over`, `relieve`, `freeze` …), or noticed: `gray`, `left`, `undecided`,
    /// `flapping`, or `over`.
    pub what: String,
    /// Why, for people.
    pub reason: String,
    /// What it saw then, as `GET /v1/cells/{id}/evidence` tells it.
    pub seen: serde_json::Value,
}
