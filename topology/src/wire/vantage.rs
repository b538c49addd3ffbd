//! `vantages/{region}`: what a region's control plane sees of every site, every two seconds and as soon
//! as something is another way than it was.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::TenureName;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageReport {
    pub sequence: u64,
    /// By site, as in `c1@east`.
    pub sites: BTreeMap<String, SightedSite>,
}

/// A site in the eyes of one vantage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SightedSite {
    pub reachable: bool,
    /// What the vantage makes of its probes. A vantage of an earlier version does not say.
    #[serde(default)]
    pub health: Health,
    /// What it last said of itself, if it ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenure: Option<TenureName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The last probe through gateway, session and database; missing before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep: Option<DeepSight>,
}

/// How a site is, by the last few probes of one vantage.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Not probed often enough to say.
    #[default]
    Unknown,
    Healthy,
    /// It answers, and takes far longer than it used to.
    Slow,
    /// Its agent answers, and its services or its database do not.
    Failing,
    /// Its agent does not answer.
    Unreachable,
}

impl Health {
    pub const ALL: [Self; 5] =
        [Self::Unknown, Self::Healthy, Self::Slow, Self::Failing, Self::Unreachable];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Failing => "failing",
            Self::Unreachable => "unreachable",
        }
    }

    /// Returns whether this speaks against the site.
    #[must_use]
    pub fn is_bad(self) -> bool {
        match self {
            Self::Unknown | Self::Healthy => false,
            Self::Slow | Self::Failing | Self::Unreachable => true,
        }
    }
}

/// One probe through gateway, session and database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeepSight {
    pub outcome: DeepOutcome,
    pub latency_us: u64,
    /// How long it takes when all is well; missing while that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeepOutcome {
    /// The active site has committed a write.
    Wrote,
    /// A site that does not serve has read from its database.
    Read,
    /// The gateway has too much to do: that says nothing about the site's health.
    Overloaded,
    /// No answer in time, or one that says what is wrong.
    Failed,
}
