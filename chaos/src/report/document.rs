//! `report.json` as it is written and read again: everything the page shows but for the single
//! requests, which are in the history. Times are in seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns::Columns;

/// Grows when a reader of an older report would misread a newer one.
pub(crate) const SCHEMA: u32 = 2;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) schema: u32,
    pub(crate) id: String,
    pub(crate) drill: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) version: String,
    /// Of what else it ran on; missing in reports of earlier versions.
    #[serde(default)]
    pub(crate) versions: VersionsTold,
    pub(crate) begun_unix_ms: u64,
    /// The command that does it again.
    pub(crate) again: String,
    pub(crate) verdict: String,
    pub(crate) exit_code: u8,
    /// Of a failed run: `safety` or `availability`.
    pub(crate) class: Option<String>,
    pub(crate) reasons: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// The same in Chinese, one for each; missing in reports of earlier versions.
    #[serde(default)]
    pub(crate) reasons_zh: Vec<String>,
    #[serde(default)]
    pub(crate) warnings_zh: Vec<String>,
    /// All that was done, as one.
    pub(crate) fault: Option<FaultTold>,
    /// A number, `"never"`, or nothing where nobody saw it.
    pub(crate) metrics: BTreeMap<String, Value>,
    pub(crate) claims: Vec<ClaimTold>,
    pub(crate) checks: Vec<CheckTold>,
    pub(crate) requests: Requests,
    pub(crate) latency: BTreeMap<String, Latency>,
    pub(crate) generator_lag_p99: f64,
    pub(crate) events: Vec<EventTold>,
    /// Where the time went, per cell that was hit.
    pub(crate) stages: Vec<Stages>,
    pub(crate) tenures: Vec<Tenure>,
    pub(crate) availability: Availability,
    pub(crate) clean_up: CleanUpTold,
}

impl Document {
    /// Returns each version with what it is of, in both languages.
    pub(crate) fn all_versions(&self) -> [([&'static str; 2], Option<&str>); 5] {
        let VersionsTold { commit, postgresql, etcd, kernel } = &self.versions;
        [
            (["Bulkhead", "Bulkhead"], Some(self.version.as_str())),
            (["commit", "提交"], commit.as_deref()),
            (["PostgreSQL", "PostgreSQL"], postgresql.as_deref()),
            (["etcd", "etcd"], etcd.as_deref()),
            (["Linux kernel", "Linux 内核"], kernel.as_deref()),
        ]
    }

    /// Whether the fault was aimed at a cell.
    pub(super) fn was_hit(&self, cell: &str) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.cells.contains_key(cell))
    }
}

/// `null` where nobody told; where several differ, all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct VersionsTold {
    /// What the program that ran the drill was built from.
    pub(crate) commit: Option<String>,
    pub(crate) postgresql: Option<String>,
    pub(crate) etcd: Option<String>,
    pub(crate) kernel: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FaultTold {
    pub(crate) kind: String,
    pub(crate) target: String,
    /// Each cell that was aimed at, and where it was active.
    pub(crate) cells: BTreeMap<String, Option<String>>,
    pub(crate) at: f64,
    pub(crate) complete_at: f64,
    pub(crate) healed_at: Option<f64>,
    /// From when to when writes were to be refused; missing in reports of earlier versions, where they never
    /// were.
    #[serde(default)]
    pub(crate) refusing: Vec<[f64; 2]>,
    pub(crate) steps: Vec<StepTold>,
    pub(crate) proof: Vec<String>,
    pub(crate) unproven: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepTold {
    pub(crate) at: f64,
    pub(crate) step: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClaimTold {
    pub(crate) name: String,
    /// `time` or `count`.
    pub(crate) unit: String,
    pub(crate) measured: Value,
    pub(crate) limit: Value,
    pub(crate) goal: Value,
    pub(crate) standing: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckTold {
    pub(crate) name: String,
    pub(crate) claim: String,
    /// `pass`, `fail` or `unknown`.
    pub(crate) result: String,
    pub(crate) witnesses: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Requests {
    pub(crate) all: usize,
    /// How often one of them was sent again; missing in reports of earlier versions, where none was.
    #[serde(default)]
    pub(crate) retries: u64,
    pub(crate) before: usize,
    pub(crate) under_fault: usize,
    pub(crate) ok_before: f64,
    pub(crate) failed_by_class: BTreeMap<String, u64>,
    pub(crate) others_failed_by_class: BTreeMap<String, u64>,
    pub(crate) held: HeldTold,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeldTold {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) max: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) before: QuantilesTold,
    pub(crate) after: QuantilesTold,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuantilesTold {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// Something the control plane said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventTold {
    pub(crate) at: f64,
    pub(crate) cell: String,
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) epoch: u64,
    pub(crate) reason: String,
    pub(crate) evidence: String,
}

/// When, since the fault took effect, each stage of a cell's way back was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stages {
    pub(crate) cell: String,
    pub(crate) reached: Vec<Reached>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reached {
    pub(crate) stage: Stage,
    pub(crate) after: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// A control plane takes the site for lost.
    Detect,
    /// The voters are asked, and follow the old site no more.
    Fence,
    /// The winner is promoted.
    Promote,
    /// The new activation is published.
    Publish,
    /// A router has it: the first answer under the new epoch.
    RouterApplied,
    FirstSuccess,
}

impl Stage {
    pub(crate) const ALL: [Self; 6] = [
        Self::Detect,
        Self::Fence,
        Self::Promote,
        Self::Publish,
        Self::RouterApplied,
        Self::FirstSuccess,
    ];

    /// Returns its name, the same as in `report.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Fence => "fence",
            Self::Promote => "promote",
            Self::Publish => "publish",
            Self::RouterApplied => "router-applied",
            Self::FirstSuccess => "first-success",
        }
    }
}

/// A site that answered a cell's users under an epoch, from its first answer to its last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tenure {
    pub(crate) cell: String,
    pub(crate) region: String,
    pub(crate) epoch: u64,
    pub(crate) from: f64,
    pub(crate) until: f64,
}

/// How users were served, as a map: rows of slots, columns of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Availability {
    /// Seconds per column.
    pub(crate) step: f64,
    pub(crate) cells: Vec<CellMap>,
}

impl Availability {
    pub(super) fn columns(&self) -> Columns {
        Columns { step: self.step }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellMap {
    pub(crate) cell: String,
    pub(crate) rows: Vec<MapRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MapRow {
    /// The first and the last slot in it that has a user.
    pub(crate) slots: [u16; 2],
    /// One letter per column: `-` nothing was asked, `o` answered, `h` answered, though somebody
    /// waited for more than a second, `p` some failed, `f` all failed.
    pub(crate) served: String,
}

/// What proves that nothing was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CleanUpTold {
    /// Faults in the journal that were taken away.
    pub(crate) undone: usize,
    pub(crate) looked_for: Vec<String>,
    pub(crate) left: Vec<String>,
}
