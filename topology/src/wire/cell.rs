//! `cells/{cell}`: one key for the whole truth about a cell, so that no rule spans two keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Malformed;
use super::cause::CauseRecord;
use crate::snapshot::RoutedCell;
use crate::{Activation, Epoch, Phase, Place};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellRecord {
    pub epoch: u64,
    pub phase: PhaseRecord,
    pub voters: BTreeSet<String>,
    /// The sites that people keep out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retired: BTreeSet<String>,
    pub acks: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elected_at: Option<PlaceRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseRecord>,
    pub reason: String,
    /// Where each site's gateway listens, by region.
    #[schemars(with = "BTreeMap<String, String>")]
    pub gateways: BTreeMap<String, SocketAddr>,
}

/// A place in the WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaceRecord {
    pub timeline: u32,
    pub begun: u64,
    pub lsn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum PhaseRecord {
    Steady { active: String },
    Switching { active: String, target: String },
    Electing { predecessor: Option<String> },
    Promoting { active: String },
}

impl From<&RoutedCell> for CellRecord {
    fn from(cell: &RoutedCell) -> Self {
        let activation = &cell.activation;
        Self {
            epoch: activation.epoch.0,
            phase: PhaseRecord::from(&activation.phase),
            voters: activation.voters.iter().map(ToString::to_string).collect(),
            retired: activation.retired.iter().map(ToString::to_string).collect(),
            acks: activation.acks,
            system: activation.system,
            elected_at: activation.elected_at.map(|Place { timeline, begun, lsn }| PlaceRecord {
                timeline,
                begun,
                lsn,
            }),
            cause: activation.cause.as_ref().map(CauseRecord::from),
            reason: activation.reason.clone(),
            gateways: cell.gateways.iter().map(|(region, at)| (region.to_string(), *at)).collect(),
        }
    }
}

impl TryFrom<CellRecord> for RoutedCell {
    type Error = Malformed;

    fn try_from(record: CellRecord) -> Result<Self, Malformed> {
        let activation = Activation {
            epoch: Epoch(record.epoch),
            phase: record.phase.try_into()?,
            voters: record.voters.iter().map(|region| region.parse()).collect::<Result<_, _>>()?,
            retired: record
                .retired
                .iter()
                .map(|region| region.parse())
                .collect::<Result<_, _>>()?,
            acks: record.acks,
            system: record.system,
            elected_at: record.elected_at.map(|PlaceRecord { timeline, begun, lsn }| Place {
                timeline,
                begun,
                lsn,
            }),
            cause: record.cause.map(Into::into),
            reason: record.reason,
        };
        let gateways = record
            .gateways
            .into_iter()
            .map(|(region, at)| Ok((region.parse()?, at)))
            .collect::<Result<_, Malformed>>()?;
        Ok(Self { activation, gateways })
    }
}

impl From<&Phase> for PhaseRecord {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Steady { active } => Self::Steady { active: active.to_string() },
            Phase::Switching { active, target } => {
                Self::Switching { active: active.to_string(), target: target.to_string() }
            }
            Phase::Electing { predecessor } => {
                Self::Electing { predecessor: predecessor.as_ref().map(ToString::to_string) }
            }
            Phase::Promoting { active } => Self::Promoting { active: active.to_string() },
        }
    }
}

impl TryFrom<PhaseRecord> for Phase {
    type Error = Malformed;

    fn try_from(record: PhaseRecord) -> Result<Self, Malformed> {
        Ok(match record {
            PhaseRecord::Steady { active } => Self::Steady { active: active.parse()? },
            PhaseRecord::Switching { active, target } => {
                Self::Switching { active: active.parse()?, target: target.parse()? }
            }
            PhaseRecord::Electing { predecessor } => Self::Electing {
                predecessor: predecessor.map(|region| region.parse()).transpose()?,
            },
            PhaseRecord::Promoting { active } => Self::Promoting { active: active.parse()? },
        })
    }
}
