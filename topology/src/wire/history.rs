//! `history/{cell}/{epoch}`: where a cell was active from when on, and why. Written once, by whichever
//! control plane sees it first, and kept for as long as anybody may ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cause::CauseRecord;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryRecord {
    pub epoch: u64,
    /// The region of the site that was active.
    pub active: String,
    /// When the move there began, and nobody served any more; as `opened_unix_ms` where that was not
    /// seen.
    pub begun_unix_ms: u64,
    /// When it was first seen to serve.
    pub opened_unix_ms: u64,
    /// What moved the cell; missing where that was not seen, and in what older versions have written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseRecord>,
    /// What moved the cell, for people.
    pub reason: String,
    /// The region whose control plane saw it.
    pub vantage: String,
}
