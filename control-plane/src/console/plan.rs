//! What a lever would do, as the API says it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The answer to `?dry_run=true`.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    /// No rule stands in the way.
    pub(super) allowed: bool,
    #[serde(default)]
    pub(super) broken: Vec<Broken>,
    #[serde(default)]
    pub(super) moves: Vec<Move>,
    pub(super) blast_radius: BlastRadius,
    #[serde(default)]
    pub(super) expected: Option<Expected>,
    #[serde(default)]
    pub(super) headroom: BTreeMap<String, Headroom>,
    /// Nothing is done if the plan would no longer be this.
    pub(super) etag: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Broken {
    pub(super) rule: String,
    pub(super) detail: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Move {
    pub(super) cell: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) epoch: u64,
    pub(super) wave: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct BlastRadius {
    pub(super) cells: Vec<String>,
    pub(super) slots: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Expected {
    pub(super) moves: usize,
    pub(super) took_ms: u64,
    pub(super) hold_ms: Option<u64>,
    pub(super) longest_hold_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Headroom {
    pub(super) free_percent: Option<i64>,
    pub(super) free_percent_after: Option<i64>,
}
