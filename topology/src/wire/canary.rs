//! `POST /v1/canary` at a session's admin port: try everything a user's write needs, and say how it
//! went. Nothing a user could see is touched.

use serde::{Deserialize, Serialize};

use super::vantage::DeepOutcome;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryReply {
    pub outcome: DeepOutcome,
    /// What went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
