//! `audit/{id}`: who did what, when, why, and by what evidence. Written before the act, and again with
//! what came of it; ids are in the order of time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::TenureName;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecord {
    pub at_unix_ms: u64,
    pub who: String,
    /// The region whose control plane was asked.
    pub vantage: String,
    /// `failover`, `switchover`, `evacuate`, `restore`, `drain`, `undrain`,
    /// `retire-site`, `add-site`, `cancel`, `freeze` or `unfreeze`.
    pub what: String,
    /// What it was about, if it was about one thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Asked again by the same with the same key, it is the same act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What was asked, as it was sent.
    pub body: serde_json::Value,
    /// Why, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was seen of the cell when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Missing while it goes on, and for ever if whoever carried it out died meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What a control plane saw of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    pub epoch: u64,
    pub phase: String,
    pub voters: Vec<String>,
    /// Since the lease was last seen renewed; missing without a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_age_ms: Option<u64>,
    /// By region.
    pub sites: BTreeMap<String, SiteEvidence>,
}

/// What a control plane saw of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SiteEvidence {
    pub reachable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenure: Option<TenureName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<u64>,
}

/// What came of it: the status and the body that were answered. Votes with their positions, and what
/// was given up, are in the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    pub at_unix_ms: u64,
    pub status: u16,
    pub body: serde_json::Value,
    /// Headers that were answered besides: where to look, and under which tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}
