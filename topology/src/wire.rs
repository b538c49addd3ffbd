//! What goes over HTTP and into etcd, versioned by the key prefix; conversions to and from the nouns.
//!
//! The nouns are not `Serialize`: they can change without a migration, these cannot. Reading
//! ignores unknown fields, so that a newer writer does not stop an older reader.

pub mod agent;
pub mod audit;
pub mod canary;
pub mod cause;
pub mod cell;
pub mod drill;
pub mod evidence;
pub mod fleet;
pub mod generation;
pub mod header;
pub mod hint;
pub mod history;
pub mod key;
pub mod lease;
pub mod lever;
pub mod lost_writes;
pub mod operation;
pub mod placement;
pub mod report;
pub mod suite;
pub mod vantage;
pub mod wan;

/// A stored value that does not mean anything.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("not the expected JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Id(#[from] crate::InvalidId),
    #[error(transparent)]
    Placement(#[from] crate::placement::InvalidPlacement),
    #[error("{0}")]
    Value(String),
}
