//! `GET /v1/lost-writes` of an agent, and of the control plane for a whole cell: what a site had
//! written that the history of the cell went on without.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one site lost at one change of history. Kept on the site's disk beside the WAL it was read
/// from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostWritesReport {
    pub cell: String,
    pub region: String,
    /// The epoch under which the site had written.
    pub epoch: u64,
    /// The timeline that ended here, and where the cell's history left it, in bytes of WAL.
    pub timeline: u32,
    pub fork: u64,
    /// How far the site had written beyond it.
    pub end: u64,
    /// Committed transactions beyond the fork.
    pub transactions: u64,
    /// When the first and the last of them committed, as PostgreSQL wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// Rows that exist there and nowhere else.
    pub writes: Vec<LostWrite>,
    /// Whether there are more of them than are listed.
    #[serde(default)]
    pub truncated: bool,
    /// Why the rows could not be listed, if they could not; the WAL is kept all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// A row that was written and is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostWrite {
    pub table: String,
    /// The primary key, by column, as text.
    pub key: BTreeMap<String, String>,
    /// What helps to find whose it was, by column, as text: `user_id`, `client_message_id` ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub about: BTreeMap<String, String>,
}
