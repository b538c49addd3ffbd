//! `suite/…`: drills by schedule: which control plane has them run, and what they do next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `chaos` exits with where another suite or drill runs: its turn comes.
pub const REFUSED: u8 = 8;

/// `suite/executor`: the right to have the suite followed. It is its holder's for as long as the holder
/// writes it again; others count by their own clocks how long it has stayed as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorRecord {
    /// Whose control plane holds it.
    pub region: String,
    /// Grows with each write.
    pub sequence: u64,
}

/// `suite/plan`: written by whoever follows the suite, whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuitePlan {
    pub suite: String,
    pub title: String,
    pub written_unix_ms: u64,
    /// What is going on.
    pub running: Option<Timed>,
    /// Why what is due does not begin, or why nobody knows what is.
    pub held: Option<String>,
    /// The next ones, the soonest first, if all goes well until then.
    pub next: Vec<Timed>,
    /// What became of the last ones, the newest first.
    pub last: Vec<Became>,
    /// When the first was due, or is, of those since one last succeeded: more than `last` has room for.
    /// Missing where nothing is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_due_unix_ms: Option<u64>,
    /// Which drills are to pass again and again: those of the suite that this platform can have. Missing where an
    /// earlier version follows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<ExpectedPass>,
}

/// A drill that is to pass again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectedPass {
    pub drill: String,
    /// How long it may be without a pass: eight days, or a day more than the longest time between two that are due.
    pub within_ms: u64,
    /// When the first was due, or is, of those since it last succeeded by this suite.
    pub first_due_unix_ms: u64,
}

/// A drill at its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timed {
    pub drill: String,
    pub due_unix_ms: u64,
    /// Whom it hits: a cell, a region, or `platform`; missing where that was never settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Became {
    #[serde(flatten)]
    pub due: Timed,
    pub outcome: Outcome,
    /// What speaks against it, the gravest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a drill that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    Succeeded,
    /// A claim does not hold, or the run proves nothing: a person should look.
    Failed,
    /// Stopped, by a person or by a real incident, and cleaned up; or nobody saw its end.
    Interrupted,
    /// It was due and not begun in time, or there was no steady state to begin with.
    Skipped,
    /// Something that a later version says.
    #[serde(other)]
    Unknown,
}

impl Outcome {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Interrupted => "INTERRUPTED",
            Self::Skipped => "SKIPPED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_another_version_is_read() {
        let text = r#"{"suite":"weekly","title":"","written_unix_ms":1,"running":null,"held":null,
            "next":[{"drill":"soak","due_unix_ms":2,"target":"c1","more":1}],
            "last":[{"drill":"soak","due_unix_ms":1,"outcome":"POSTPONED"}],"more":true}"#;
        let plan: SuitePlan = serde_json::from_str(text).unwrap();
        assert_eq!(plan.next[0].target.as_deref(), Some("c1"));
        // An earlier version does not say.
        assert_eq!((plan.first_due_unix_ms, plan.expected.len()), (None, 0));
        let Became { due, outcome, why } = &plan.last[0];
        assert_eq!((due.target.as_ref(), *outcome, why), (None, Outcome::Unknown, &None));
    }
}
