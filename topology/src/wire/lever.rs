//! `regions/{region}` and `freeze`: what people have set, and every control plane keeps to; and `lever`, which
//! drills keep to.

use serde::{Deserialize, Serialize};

/// Whether the region is a target of failovers and planned moves. Written by the operation that says
/// so, as long as it is the one that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    pub drained: bool,
    pub operation: String,
    pub since_unix_ms: u64,
}

/// Nothing is moved, neither by plan nor by itself. The key stays when the freeze is lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeRecord {
    pub frozen: bool,
    pub reason: String,
    /// Who said so, as far as their token tells.
    pub who: String,
    pub since_unix_ms: u64,
    /// When it ends by itself, by the wall clock of whoever looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_ms: Option<u64>,
}

/// While it is pulled no drill begins, and one that runs is stopped, on whatever machine. The key stays when it
/// is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeverRecord {
    pub pulled: bool,
    /// Why; whoever is refused reads it.
    pub reason: String,
    /// Who pulled or released it, as far as the machine knows on which that was done. Missing where an earlier
    /// version did, or what is stored is not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Missing where what is stored is not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_unix_ms: Option<u64>,
}

impl LeverRecord {
    /// Returns why drills are stopped by what is stored, if they are. What is not understood stops them: somebody
    /// meant something by it.
    #[must_use]
    pub fn pulled(stored: &[u8]) -> Option<Self> {
        match serde_json::from_slice(stored) {
            Ok(Self { pulled: false, .. }) => None,
            Ok(record) => Some(record),
            Err(err) => Some(Self {
                pulled: true,
                reason: format!("what is stored of the lever is not understood: {err}"),
                who: None,
                since_unix_ms: None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lever_that_is_not_understood_is_pulled() {
        let told = |stored: &str| LeverRecord::pulled(stored.as_bytes());
        let why = |stored: &str| told(stored).map(|record| record.reason);
        let pulled = r#"{"pulled":true,"reason":"an incident","since_unix_ms":7,"where":"later"}"#;
        assert_eq!(why(pulled), Some("an incident".to_owned()));
        assert_eq!(why(r#"{"pulled":false,"reason":"","since_unix_ms":8}"#), None);
        for odd in ["", "perhaps", "\u{0}", r#"{"pulled":"no","reason":""}"#, r#"{"pulled":false}"#]
        {
            let told = told(odd).unwrap();
            assert!(
                told.reason.starts_with("what is stored of the lever is not understood: "),
                "{odd}"
            );
            assert_eq!((told.pulled, told.since_unix_ms), (true, None), "{odd}");
        }
    }
}
