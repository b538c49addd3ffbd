//! `operations/{id}` while it goes on, `ended/{id}` afterwards: a plan in waves, and how far it has
//! come. Whoever executes it replaces the record before and after each step, by compare-and-swap, so
//! that another can go on from it at any point.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    pub goal: GoalRecord,
    pub asked: AskedRecord,
    /// The region whose control plane executes it.
    pub executor: String,
    /// Grows with every write: an executor that is alive writes, whether or not there is progress.
    pub sequence: u64,
    pub status: StatusRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRecord>,
    /// How long the end of a wave is watched before the next begins.
    #[serde(default)]
    pub pause_ms: u64,
    pub waves: Vec<Vec<StepRecord>>,
    /// What it waits for, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_unix_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GoalRecord {
    /// No cell is active in the region, and it is drained: no target of any move.
    Evacuate { region: String },
    /// The region is a target again, and the cells at home there are active there.
    Restore { region: String },
    /// The region is drained. No cell is moved.
    Drain { region: String },
    /// The region is a target again. No cell is moved.
    Undrain { region: String },
    /// The standby site is kept out of its cell.
    RetireSite { cell: String, region: String },
    /// A site that was kept out stands by again, and votes.
    AddSite { cell: String, region: String },
    /// The cell is active in the region, by a planned move.
    Switchover { cell: String, region: String },
    /// The cell whose active site is lost is active elsewhere: in the region, or wherever most is.
    Failover {
        cell: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        accept_data_loss: bool,
    },
}

/// Who asked, where, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedRecord {
    pub who: String,
    pub vantage: String,
    pub at_unix_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Names of safety rules that were not to stand in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub override_rules: Vec<String>,
    /// Asked again with the same key, it is the same operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRecord {
    pub who: String,
    pub at_unix_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum StatusRecord {
    Running,
    /// It was cancelled, and takes back what must not stay.
    Undoing,
    Done,
    Cancelled,
    Failed {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    #[serde(flatten)]
    pub what: WhatRecord,
    pub state: StepStateRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum WhatRecord {
    /// The region is no target from here on.
    Drain { region: String },
    /// The region is a target again.
    Undrain { region: String },
    /// A planned move of a cell that is active in `from` under `epoch`.
    Move { cell: String, from: String, to: String, epoch: u64 },
    /// An election of a cell that was held by `from` under `epoch`. `to` is who is wanted, and once it has
    /// ended who has won.
    Elect {
        cell: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        epoch: u64,
        accept_data_loss: bool,
    },
    /// The site is marked, and leaves the voters.
    Retire { cell: String, region: String },
    /// The mark is taken away, and the site votes again.
    Add { cell: String, region: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum StepStateRecord {
    Waiting,
    Going {
        attempt: u32,
        since_unix_ms: u64,
    },
    Done {
        took_ms: u64,
        /// How long the cell's requests had to wait, if whoever says so has moved it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_ms: Option<u64>,
        /// The epoch under which a cell that was moved has become active.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
    },
    Skipped {
        why: String,
    },
    Failed {
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written_and_is_plain() {
        let text = r#"{"goal":{"kind":"evacuate","region":"east"},
            "asked":{"who":"token 1","vantage":"north","at_unix_ms":1},
            "executor":"north","sequence":3,"status":{"name":"running"},"pause_ms":0,
            "waves":[[{"do":"drain","region":"east","state":{"name":"done","took_ms":4}}],
                     [{"do":"move","cell":"c1","from":"east","to":"south","epoch":7,
                       "state":{"name":"going","attempt":1,"since_unix_ms":9}}]]}"#;
        reads_as_it_was_written(text);
    }

    #[test]
    fn a_failover_names_its_cell_and_only_who_is_known() {
        reads_as_it_was_written(
            r#"{"goal":{"kind":"failover","cell":"c1","accept_data_loss":true},
            "asked":{"who":"ada","vantage":"north","at_unix_ms":1,"reason":"east has burnt down"},
            "executor":"north","sequence":1,"status":{"name":"running"},"pause_ms":0,
            "waves":[[{"do":"elect","cell":"c1","from":"east","epoch":7,"accept_data_loss":true,
                       "state":{"name":"going","attempt":1,"since_unix_ms":9}}]]}"#,
        );
    }

    fn reads_as_it_was_written(text: &str) {
        let record: OperationRecord = serde_json::from_str(text).unwrap();
        let plain: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), plain);
    }
}
