//! `vantages/{region}`: what a region's control plane sees of every site, every two seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agent::TenureName;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageReport {
    pub sequence: u64,
    /// By site, as in `c1@east`.
    pub sites: BTreeMap<String, SightedSite>,
}

/// A site in the eyes of one vantage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SightedSite {
    pub reachable: bool,
    /// What it last said of itself, if it ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenure: Option<TenureName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}
