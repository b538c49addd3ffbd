//! In a cell's record and in its history: what began the change that led to the epoch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cause::Cause;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseRecord {
    /// An operation's kind, or, where nobody asked, what had failed: `site-lost`, `site-gray`,
    /// `came-back`, `gave-up` or `etcd-went-back`.
    pub kind: String,
    /// The operation, where a person asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl From<&Cause> for CauseRecord {
    fn from(cause: &Cause) -> Self {
        Self { kind: cause.kind.clone(), operation: cause.operation.clone() }
    }
}

impl From<CauseRecord> for Cause {
    fn from(record: CauseRecord) -> Self {
        Self { kind: record.kind, operation: record.operation }
    }
}
