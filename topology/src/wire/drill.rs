//! `drills/{id}`: what a run of a drill came to, in short. The run itself is in its report, where it was
//! rehearsed. Ids are in the order of time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key;

/// How many are kept: a dozen drills a week for a quarter of a year.
pub const KEPT: u16 = 200;
/// Longest name of a drill within an id; what is longer is cut.
const NAME_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillRecord {
    /// The run's own id, which is its report's folder.
    pub run: String,
    pub drill: String,
    pub title: String,
    /// The id of the platform it was rehearsed on.
    pub environment: String,
    pub seed: u64,
    pub begun_unix_ms: u64,
    pub ended_unix_ms: u64,
    pub verdict: DrillVerdict,
    /// What `chaos run` ended with, or would have.
    pub exit_code: u8,
    /// What speaks against a pass, the gravest first; the first ones, if there are many.
    pub reasons: Vec<String>,
    /// From the fault until 99 % of its users were served and stayed served; missing where nothing
    /// shows it.
    pub recover_99_ms: Option<Took>,
    /// From the fault until a control plane took the site for lost.
    pub detect_ms: Option<Took>,
    /// From the end of the fault until every cell could lose a region again.
    pub redundancy_restored_ms: Option<Took>,
    /// Acknowledged strong writes that are gone.
    pub strong_lost: Option<u64>,
    /// Acknowledged weak writes that are gone.
    pub weak_lost: Option<u64>,
    /// Requests that failed.
    pub failed: Option<u64>,
    /// Requests that waited for more than a second, and were answered.
    pub held: u64,
    /// The suite it was due by; missing where a person ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrillVerdict {
    Pass,
    /// A limit was exceeded, or data is not safe.
    Fail,
    Inconclusive,
    /// Not all was well before, and nothing was broken.
    NoSteadyState,
    /// Stopped, and cleaned up.
    Aborted,
    /// Something was left behind.
    Residue,
    /// The drill itself failed.
    HarnessError,
    /// It was due, and not run.
    Skipped,
    /// Something that a later version says.
    #[serde(other)]
    Unknown,
}

impl DrillVerdict {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::NoSteadyState => "no-steady-state",
            Self::Aborted => "aborted",
            Self::Residue => "residue",
            Self::HarnessError => "harness-error",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Took {
    Millis(u64),
    Never(Never),
}

/// It did not happen while anybody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Never {
    Never,
}

impl Took {
    pub const NEVER: Self = Self::Never(Never::Never);
}

impl DrillRecord {
    /// Returns the id it is kept under: it begins with the time, and has nothing in it that a path
    /// or a key would take for more than a name.
    #[must_use]
    pub fn id(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        let name: String = self.drill.chars().take(NAME_MAX).map(plain).collect();
        format!("{:013}-{name}", self.begun_unix_ms)
    }

    #[must_use]
    pub fn key(&self) -> String {
        format!("{}{}", key::DRILLS, self.id())
    }

    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.verdict == DrillVerdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_later_version_is_read_and_what_never_happened_is_a_word() {
        let text = r#"{"run":"a-1","drill":"a/b 用","title":"","environment":"","seed":1,
            "begun_unix_ms":1795000000000,"ended_unix_ms":2,"verdict":"postponed","exit_code":9,
            "reasons":[],"recover_99_ms":"never","detect_ms":12,"held":0,"more":true}"#;
        let record: DrillRecord = serde_json::from_str(text).unwrap();
        assert_eq!(record.verdict, DrillVerdict::Unknown);
        assert_eq!(record.recover_99_ms, Some(Took::NEVER));
        assert_eq!(record.detect_ms, Some(Took::Millis(12)));
        assert_eq!(record.id(), "1795000000000-a-b--");
    }
}
